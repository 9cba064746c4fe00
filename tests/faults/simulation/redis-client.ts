import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';
import type { CallKind } from './fate.ts';
import type { RedisModel } from './redis-model.ts';
import { claimScript, writeScript } from '../../../engine/state/redis/state-scripts.ts';
import type { Process, World } from './world.ts';

/** What a command is made of: the client takes its parts one by one, or as an array. */
type CommandPart = string | number | Buffer | readonly (string | number | Buffer)[];

function argument(part: string | number | Buffer): string | Buffer {
  return typeof part === 'number' ? String(part) : part;
}

/** The calls of the client that a task's state makes, over the model: so that the state's own code is what runs. */
export function redisClient(world: World, process: Process, redis: RedisModel): RedisClient {
  const call = <T>(kind: CallKind, apply: () => T): Promise<T> =>
    world.call(process, { kind, apply, late: () => void apply(), failure: () => new Error('the connection was lost') });
  const run = (...parts: CommandPart[]): Promise<unknown> => {
    const [script, keyCount, ...rest] = parts.flat();
    const keys = Number(keyCount);
    return call(script === claimScript ? 'claim' : script === writeScript ? 'write' : 'read', () =>
      redis.eval(String(script), rest.slice(0, keys).map(String), rest.slice(keys).map(argument)),
    );
  };
  const client = {
    options: {},
    info: () => call('info', () => 'maxmemory_policy:noeviction\r\n'),
    eval: run,
    call: (_command: 'eval', ...parts: CommandPart[]) => run(...parts),
    callBuffer: (_command: 'eval', ...parts: CommandPart[]) => run(...parts),
    hscanBuffer: (key: string) => call('scan', () => [Buffer.from('0'), redis.scan(key)]),
  };
  return client as unknown as RedisClient;
}
