import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../error.ts';
import { systemClock } from '../time/clock.ts';
import { ChdbEngine } from './chdb-engine.ts';
import { removeEndpoint, writeEndpoint, type Endpoint } from './endpoint-file.ts';
import { createHttpFront } from './http-front.ts';
import type { ServerMessage, ServerSettings } from './server-messages.ts';

/**
 * The program of the process that embeds ClickHouse. It is a process of its own so that a fault in the engine costs analytics and not the job, and
 * so that the engine's memory and CPU are not the job's; it yields the CPU to the job, and ends when the process that started it does.
 */
/** A third of the CPU that the job gets where both want it: analytics may lag, answers may not. */
const niceness = 5;

const settings = JSON.parse(process.argv[2] ?? '{}') as ServerSettings;
const tell = (message: ServerMessage): void => {
  if (process.connected) process.send?.(message);
};

try {
  await serve();
} catch (thrown) {
  tell({ kind: 'failed', reason: messageOf(thrown) });
  if (process.connected) process.disconnect();
  process.exitCode = 1;
}

async function serve(): Promise<void> {
  setPriority(niceness);
  const { directory, port, username, password, serverId } = settings;
  const spoolDirectory = join(directory, 'spool');
  mkdirSync(join(directory, 'data'), { recursive: true });
  const engine = new ChdbEngine(join(directory, 'data'));
  // Whatever is there was left by a server that was killed: the engine's lock says that there is no other.
  rmSync(spoolDirectory, { recursive: true, force: true });
  mkdirSync(spoolDirectory);

  const server = createHttpFront({ engine, spoolDirectory, username, password, serverId });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const endpoint: Endpoint = { url, username, password, serverId, pid: process.pid };
  writeEndpoint(directory, endpoint);

  let ending = false;
  const end = async (): Promise<void> => {
    if (ending) return;
    ending = true;
    removeEndpoint(directory, serverId);
    const closed = new Promise((done) => server.close(done));
    server.closeIdleConnections();
    // Statements cannot be interrupted; what was acknowledged is in the file system's cache, so ending in mid-statement loses none of it.
    await Promise.race([closed, systemClock.sleep(settings.drainMs)]);
    process.kill(process.pid, 'SIGKILL');
  };
  process.on('message', () => void end());
  process.on('disconnect', () => void end());
  // Ctrl-C reaches the whole process group; the parent decides when this process ends.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => void end());
  tell({ kind: 'listening', endpoint, version: engine.version });
}
