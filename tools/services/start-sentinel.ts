import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SluiceError } from '../../engine/error.ts';
import { freePort } from './free-port.ts';
import { isRunning, kill, launch, runningService, sizeOf, waitUntil, wordsSince } from './launched-process.ts';
import type { RedisService } from './start-redis.ts';

const startTimeoutMs = 30_000;
const stopPatienceMs = 10_000;
/** A primary that does not answer for so long is held to be dead. */
const downAfterMs = 1_000;

/** What to watch. */
export interface SentinelOptions {
  readonly dir: string;
  /** The name by which clients ask for the primary. */
  readonly group: string;
  readonly primary: Pick<RedisService, 'host' | 'port'>;
}

/**
 * Starts one Sentinel, which is its own majority, and resolves once it watches the primary. Replicas it finds by asking the primary.
 *
 * @throws {SluiceError} `SERVICE_NOT_STARTED` with its last words.
 */
export async function startSentinel({ dir: folder, group, primary }: SentinelOptions): Promise<RedisService> {
  const dir = resolve(folder);
  mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const file = join(dir, 'sentinel.conf');
  const logFile = join(dir, 'sentinel.log');
  const logStart = sizeOf(logFile);
  writeFileSync(
    file,
    `port ${port}
bind 127.0.0.1
dir ${dir}
sentinel monitor ${group} ${primary.host} ${primary.port} 1
sentinel down-after-milliseconds ${group} ${downAfterMs}
sentinel failover-timeout ${group} 5000
`,
  );
  const process_ = await launch({
    program: 'redis-server',
    args: [file, '--sentinel'],
    logFile,
    lifetime: 'caller',
  });
  const watches = (): boolean => wordsSince(logFile, logStart).includes(`+monitor master ${group}`);
  const isUp = await waitUntil(() => !isRunning(process_) || watches(), startTimeoutMs);
  if (isUp && isRunning(process_))
    return { host: '127.0.0.1', port, ...runningService(process_, logFile, stopPatienceMs) };
  await kill(process_);
  throw new SluiceError(
    'SERVICE_NOT_STARTED',
    `could not start a Sentinel on port ${port}; see ${logFile}, which ends:\n${wordsSince(logFile, logStart).slice(-1_000)}`,
    { fields: { service: 'redis-sentinel', port } },
  );
}
