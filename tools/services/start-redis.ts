import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
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

const startTimeoutMs = 30_000;
const stopPatienceMs = 10_000;
const attempts = 5;

/** How to start a server. Only `dir` must be given: its append-only file lives there, and a second start on it goes on with it. */
export interface RedisOptions {
  readonly dir: string;
  /** A free one where absent. */
  readonly port?: number;
  /** Further settings of redis.conf, which win over ours: `{ 'maxmemory-policy': 'allkeys-lru' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly lifetime?: Lifetime;
}

/** A running server. */
export interface RedisService extends RunningService {
  readonly host: string;
  readonly port: number;
}

/** Whether a server answers on the port; one that asks for a password first does. */
export async function redisAnswers(port: number): Promise<boolean> {
  const answer = await exchange(port, Buffer.from('PING\r\n'), 2_000);
  return answer !== null && /^(\+PONG|-NOAUTH|-NOPERM)/.test(answer.toString('latin1'));
}

/**
 * Starts `redis-server` with an append-only file and without eviction, as state needs it, and resolves once it answers.
 *
 * @throws {SluiceError} `REDIS_MISSING` when there is no such program, `SERVICE_NOT_STARTED` with the server's last words.
 */
export async function startRedis(options: RedisOptions): Promise<RedisService> {
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const logFile = join(dir, 'redis.log');
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const logStart = sizeOf(logFile);
    const settings = {
      port: String(port),
      bind: '127.0.0.1',
      dir,
      appendonly: 'yes',
      appendfsync: 'everysec',
      save: '',
      'maxmemory-policy': 'noeviction',
      ...options.settings,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const process_ = await launch({
      program: 'sh',
      // A write beyond a limit on the size of files is then refused, as on a full disk, instead of ending the server.
      args: ['-c', 'trap "" XFSZ; exec redis-server "$@"', 'sh', ...args],
      logFile,
      lifetime: options.lifetime ?? 'caller',
    });
    // Its own word, since what answers on the port may be another server that was faster to bind it.
    const isUp = (): boolean =>
      !isRunning(process_) || wordsSince(logFile, logStart).includes('Ready to accept connections');
    const isInTime = await waitUntil(isUp, startTimeoutMs);
    if (isInTime && isRunning(process_))
      return { host: '127.0.0.1', port, ...runningService(process_, logFile, stopPatienceMs) };
    await kill(process_);
    const words = wordsSince(logFile, logStart).trim().split('\n').slice(-10).join('\n');
    if (/redis-server: not found/.test(words)) {
      throw new SluiceError(
        'REDIS_MISSING',
        'could not start Redis: `redis-server` is not on PATH; install redis-server (Debian: apt-get install redis-server)',
      );
    }
    // Somebody else took the port between our looking and the server's binding it.
    if (/already in use/.test(words) && options.port === undefined && attempt < attempts) continue;
    throw new SluiceError(
      'SERVICE_NOT_STARTED',
      `could not start Redis on port ${port}: ${isInTime ? 'it ended' : `no answer within ${startTimeoutMs / 1000} s`}; see ${logFile}, which ends:\n${words}`,
      { fields: { service: 'redis', port } },
    );
  }
}
