import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';
import type { CallKind } from './fate.ts';
import type { RedisModel } from './redis-model.ts';
import { claimScript, writeScript } from '../../../engine/state/redis/state-scripts.ts';
import type { Process, World } from './world.ts';

/** The calls of the client that a task's state makes, over the model: so that the state's own code is what runs. */
export function redisClient(world: World, process: Process, redis: RedisModel): RedisClient {
  const call = <T>(kind: CallKind, apply: () => T): Promise<T> =>
    world.call(process, { kind, apply, late: () => void apply(), failure: () => new Error('the connection was lost') });
  const run = (script: string, keyCount: number, rest: readonly (string | Buffer)[]): Promise<unknown> =>
    call(script === claimScript ? 'claim' : script === writeScript ? 'write' : 'read', () =>
      redis.eval(script, rest.slice(0, keyCount).map(String), rest.slice(keyCount)),
    );
  const client = {
    options: {},
    info: () => call('info', () => 'maxmemory_policy:noeviction\r\n'),
    eval: (script: string, keyCount: number, ...rest: readonly (string | Buffer)[]) => run(script, keyCount, rest),
    callBuffer: (_command: 'eval', script: string, keyCount: number, ...rest: readonly (string | Buffer)[]) =>
      run(script, keyCount, rest),
    hscanBuffer: (key: string) => call('scan', () => [Buffer.from('0'), redis.scan(key)]),
  };
  return client as unknown as RedisClient;
}
