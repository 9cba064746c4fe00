import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startRedis, type RedisService } from '../../../tools/services/start-redis.ts';
import { connectRedis, type RedisClient } from './connect-redis.ts';
import { OnlineTaskState, onlineWrite } from './online-task-state.ts';
import { onlineKey, OnlineValues, type OnlineRow } from './online-values.ts';
import { RedisTaskState } from './redis-task-state.ts';

let dir: string;
let server: RedisService;
let client: RedisClient;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-online-'));
  server = await startRedis({ dir });
  client = connectRedis({ topology: { kind: 'single', host: server.host, port: server.port } }, () => undefined);
});

beforeEach(() => client.flushall());

afterAll(async () => {
  client.disconnect();
  await server.kill();
  rmSync(dir, { recursive: true, force: true });
});

function row(
  key: string,
  at: readonly [time: number, partition: number, offset: number],
  ...fields: string[]
): OnlineRow {
  const [eventTimeMs, partition, offset] = at;
  return { key, eventTimeMs, partition, offset, fields };
}

const hash = (key: string): Promise<Record<string, string>> => client.hgetall(`shop:online:{card_id}:${key}`);
const values = (ttlMs: number | null = null): OnlineValues => new OnlineValues(client, { app: 'shop', ttlMs });

describe('online values', () => {
  it('are a plain hash of the latest record, replaced as a whole', async () => {
    expect(onlineKey('shop', 'card_id', 'c 1')).toBe('shop:online:{card_id}:c 1');
    await values().write('card_id', [row('c 1', [5, 1, 9], 'avg', '1.5', 'last', 'x')]);
    expect(await hash('c 1')).toEqual({ '@event_time': '5', '@partition': '1', '@offset': '9', avg: '1.5', last: 'x' });
    await values().write('card_id', [row('c 1', [1_700_000_000_123, 0, 2 ** 40], 'avg', '0.1')]);
    expect(await hash('c 1')).toEqual({
      '@event_time': '1700000000123',
      '@partition': '0',
      '@offset': String(2 ** 40),
      avg: '0.1',
    });
    expect(await client.ttl('shop:online:{card_id}:c 1')).toBe(-1);
  });

  it('never go back, in whatever order, however often, and by whomever they are written', async () => {
    const position = fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(position, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        async (writes) => {
          await client.flushall();
          let last = [-1, -1, -1];
          for (const positions of writes) {
            // The rows of one call are of one key as well: a later one may be older.
            await values().write(
              'card_id',
              positions.map((at) => row('c', at, 'at', at.join('/'))),
            );
            for (const at of positions) if (compare(at, last) > 0) last = at;
            expect((await hash('c'))['at']).toBe(last.join('/'));
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('live on for the given time after their last record', async () => {
    await values(60_000).write('card_id', [row('c', [1, 0, 0])]);
    const first = await client.pexpiretime('shop:online:{card_id}:c');
    expect(first).toBeGreaterThan(0);
    expect(await values(3_600_000).write('card_id', [row('c', [0, 0, 0])])).toBe(0);
    expect(await client.pexpiretime('shop:online:{card_id}:c')).toBe(first);
    expect(await values(3_600_000).write('card_id', [row('c', [2, 0, 0])])).toBe(1);
    expect(await client.pexpiretime('shop:online:{card_id}:c')).toBeGreaterThan(first);
  });

  it('of a batch are one command, not one for each key', async () => {
    const calls = async (): Promise<number> =>
      Number(/cmdstat_eval:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0);
    const before = await calls();
    const rows = Array.from({ length: 1_200 }, (_, i) => row(`c${i}`, [1, 0, i], 'count', String(i)));
    expect(await values().write('card_id', rows)).toBe(1_200);
    expect((await calls()) - before).toBe(3);
    expect((await hash('c1199'))['count']).toBe('1199');
    expect(await values().write('card_id', [])).toBe(0);
  });
});

describe('online values that are written with the state', () => {
  const write = (offset: number): ReturnType<typeof onlineWrite> =>
    onlineWrite('card_id', row('c', [offset, 0, offset], 'count', String(offset)));

  it('are there before the state moves, so that what a crash leaves out is replayed', async () => {
    const task = { task: 'shop.job.in-0' };
    const first = new RedisTaskState(client, { ...task, owner: 'first' });
    await first.claim(0);
    const state = { operatorId: 'card', key: Buffer.from('c'), value: Buffer.from('state') };
    await new OnlineTaskState(first, values()).write({ to: 3, metadata: 'm', writes: [state, write(2)] });
    expect((await hash('c'))['count']).toBe('2');
    expect(await client.hgetall('sluice:{shop.job.in-0}:online card_id')).toEqual({});

    // It dies with its batch committed, and before, or in the midst of, what follows.
    const dying = values();
    dying.write = () => Promise.reject(new Error('a test kills the worker'));
    const step = { to: 5, metadata: 'm', writes: [{ ...state, value: Buffer.from('later') }, write(4)] };
    await expect(new OnlineTaskState(first, dying).write(step)).rejects.toThrow('a test kills');

    const second = new OnlineTaskState(new RedisTaskState(client, { ...task, owner: 'second' }), values());
    // The state is where it was, so the next owner replays [3, 5), and has the same step to write.
    expect(await second.claim(0)).toMatchObject({ offset: 3 });
    expect(await second.write(step)).toBe('ok');
    expect((await hash('c'))['count']).toBe('4');
  });

  it('are not taken back by a former owner that is still at work', async () => {
    const task = { task: 'shop.job.in-1' };
    const former = new OnlineTaskState(new RedisTaskState(client, { ...task, owner: 'former' }), values());
    await former.claim(0);
    const latter = new OnlineTaskState(new RedisTaskState(client, { ...task, owner: 'latter' }), values());
    await latter.claim(0);
    expect(await latter.write({ to: 9, metadata: 'm', writes: [write(8)] })).toBe('ok');
    expect(await former.write({ to: 5, metadata: 'm', writes: [write(4)] })).toBe('fenced');
    expect((await hash('c'))['count']).toBe('8');
  });
});

function compare(a: readonly number[], b: readonly number[]): number {
  const differing = a.findIndex((value, i) => value !== b[i]);
  return differing < 0 ? 0 : (a[differing] ?? 0) - (b[differing] ?? 0);
}
