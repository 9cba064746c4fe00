import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerSettings } from '../../engine/clickhouse/server-messages.ts';
import { SluiceError } from '../../engine/error.ts';
import { freePort } from './free-port.ts';
import {
  isRunning,
  kill,
  launch,
  runningService,
  sizeOf,
  waitUntil,
  wordsSince,
  type Lifetime,
  type RunningService,
} from './launched-process.ts';
import { exchange } from './probe.ts';

const serverProgram = fileURLToPath(new URL('../../engine/clickhouse/server-process.ts', import.meta.url));
const startTimeoutMs = 60_000;
const stopPatienceMs = 15_000;
const drainMs = 5_000;

/** How to start a server. Only `dir` must be given: its tables live there, and a second start on it goes on with them. */
export interface ClickHouseOptions {
  readonly dir: string;
  /** A free one where absent. */
  readonly port?: number;
  readonly username?: string;
  /** None where absent: it listens to this machine only. */
  readonly password?: string;
  readonly lifetime?: Lifetime;
}

/** A running server. */
export interface ClickHouseService extends RunningService {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
}

async function ping(port: number): Promise<string> {
  const request = `GET /ping HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`;
  return (await exchange(port, Buffer.from(request), 2_000))?.toString('latin1') ?? '';
}

/** Whether a server answers on the port. */
export async function clickHouseAnswers(port: number): Promise<boolean> {
  return (await ping(port)).startsWith('HTTP/1.1 200');
}

/**
 * Starts the embedded ClickHouse as a server of its own behind ClickHouse's HTTP interface, and resolves once it answers.
 *
 * @throws {SluiceError} `SERVICE_NOT_STARTED` with the server's last words.
 */
export async function startClickHouse(options: ClickHouseOptions): Promise<ClickHouseService> {
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const logFile = join(dir, 'clickhouse.log');
  const logStart = sizeOf(logFile);
  const port = options.port ?? (await freePort());
  const settings: ServerSettings = {
    directory: dir,
    port,
    username: options.username ?? 'default',
    password: options.password ?? '',
    serverId: randomUUID(),
    drainMs,
  };
  const process_ = await launch({
    program: process.execPath,
    args: ['--import', import.meta.resolve('tsx'), serverProgram, JSON.stringify(settings)],
    logFile,
    lifetime: options.lifetime ?? 'caller',
  });
  // Its own name, since what answers on the port may be another server that was faster to bind it.
  const isUp = async (): Promise<boolean> => !isRunning(process_) || (await ping(port)).includes(settings.serverId);
  const isInTime = await waitUntil(isUp, startTimeoutMs);
  if (isInTime && isRunning(process_)) {
    return { url: `http://127.0.0.1:${port}`, port, ...runningService(process_, logFile, stopPatienceMs) };
  }
  await kill(process_);
  const words = wordsSince(logFile, logStart).trim().split('\n').slice(-10).join('\n');
  throw new SluiceError(
    'SERVICE_NOT_STARTED',
    `could not start ClickHouse on port ${port}: ${isInTime ? 'it ended' : `no answer within ${startTimeoutMs / 1000} s`}; see ${logFile}, which ends:\n${words}`,
    { fields: { service: 'clickhouse', port } },
  );
}
