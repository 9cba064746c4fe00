import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRedis, type RedisService } from '../../../tools/services/start-redis.ts';
import { connectRedis } from './connect-redis.ts';
import { RedisTaskState } from './redis-task-state.ts';

let dir: string;
let server: RedisService;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-torn-'));
  server = await startRedis({ dir, settings: { appendfsync: 'always' } });
});

afterEach(async () => {
  await server.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** Kills the server, takes bytes from the end of its append-only file, and starts it again. */
async function restartWithout(bytes: number): Promise<void> {
  await server.kill();
  const folder = join(dir, 'appendonlydir');
  const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.incr.aof')) ?? '');
  truncateSync(file, statSync(file).size - bytes);
  server = await startRedis({ dir, port: server.port, settings: { appendfsync: 'always' } });
}

const step = (to: number, keys: readonly string[], value: string): Parameters<RedisTaskState['write']>[0] => ({
  to,
  metadata: `at ${to}`,
  writes: keys.map((key) => ({ operatorId: 'card', key: Buffer.from(key), value: Buffer.from(value) })),
});

describe("a task's state in a Redis whose append-only file ended within a transaction", () => {
  it('is not believed when the half of a lost write comes back with the next start but one', async () => {
    const client = connectRedis(
      { topology: { kind: 'single', host: server.host, port: server.port } },
      () => undefined,
    );
    const back = (): Promise<void> =>
      expect.poll(() => client.ping().catch(() => 'away'), { timeout: 120_000 }).toBe('PONG');
    const claimed = async (task: string, owner: string): Promise<[RedisTaskState, number | null]> => {
      const state = new RedisTaskState(client, { task, owner });
      await back();
      return [state, (await state.claim(0)).offset];
    };
    const [first] = await claimed('torn', 'first');
    await first.write(step(10, ['a', 'b'], 'at 10'));
    await first.write(step(20, ['a', 'b'], 'at 20'));
    // Of the last write all is there but the end of its last command, the one that sets the offset.
    await restartWithout(40);
    expect((await claimed('other', 'o'))[1]).toBeNull();
    const [other] = await claimed('other', 'o');
    await other.write(step(1, ['z'], 'other'));
    await restartWithout(0);
    await back();

    // Without the mark, the state would now be as of offset 10, and its values those of 20.
    expect(await client.hget('sluice:{torn}', 'offset')).toBe('10');
    expect(await client.hget('sluice:{torn}:card', 'a')).toBe('at 20');
    const [next, offset] = await claimed('torn', 'second');
    expect(offset).toBeNull();
    expect(await next.getMany('card', [Buffer.from('a')])).toEqual([null]);
    expect(await next.write(step(25, ['a'], 'at 25'))).toBe('ok');
    expect((await claimed('torn', 'third'))[1]).toBe(25);
    client.disconnect();
  });

  it('is not read by an owner that had it before, either', async () => {
    const client = connectRedis(
      { topology: { kind: 'single', host: server.host, port: server.port } },
      () => undefined,
    );
    const state = new RedisTaskState(client, { task: 'torn', owner: 'first' });
    await state.claim(0);
    await state.write(step(10, ['a'], 'at 10'));
    await client.hset('sluice:{torn}', 'began', '20');
    await expect(state.getMany('card', [Buffer.from('a')])).rejects.toMatchObject({ code: 'STATE_WENT_BACK' });
    client.disconnect();
  });
});
