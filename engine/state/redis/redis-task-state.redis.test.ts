import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { waitUntil } from '../../../tools/services/launched-process.ts';
import { startRedis, type RedisService } from '../../../tools/services/start-redis.ts';
import { stateReaderConformance } from '../state-reader.conformance.ts';
import type { StateWrite } from '../state-store.ts';
import { connectRedis, type RedisClient } from './connect-redis.ts';
import { RedisTaskState } from './redis-task-state.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const set = (key: string, value: string, operatorId = 'card'): StateWrite => ({
  operatorId,
  key: text(key),
  value: text(value),
});
const remove = (key: string): StateWrite => ({ operatorId: 'card', key: text(key), value: null });

let dir: string;
let server: RedisService;
let client: RedisClient;
let tasks = 0;

function connect(port: number, commandTimeoutMs = 2_000): RedisClient {
  return connectRedis({ topology: { kind: 'single', host: '127.0.0.1', port }, commandTimeoutMs }, () => undefined);
}

/** A task that no other test has. */
function newTask(): string {
  return `app.test.topic-${tasks++}`;
}

function owner(task: string, name: string): RedisTaskState {
  return new RedisTaskState(client, { task, owner: name });
}

async function read(state: RedisTaskState, ...keys: string[]): Promise<(string | null)[]> {
  const values = await state.getMany('card', keys.map(text));
  return values.map((value) => (value === null ? null : Buffer.from(value).toString()));
}

async function scan(state: RedisTaskState, operatorId = 'card'): Promise<string[]> {
  const entries: string[] = [];
  for await (const { key, value } of state.scan(operatorId)) {
    entries.push(`${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`);
  }
  return entries;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-state-'));
  server = await startRedis({ dir, settings: { appendfsync: 'always' } });
  client = connect(server.port, 20_000);
});

afterAll(async () => {
  client.disconnect();
  await server.kill();
  rmSync(dir, { recursive: true, force: true });
});

stateReaderConformance("a task's state in Redis", async () => {
  const state = owner(newTask(), 'a');
  await state.claim(0);
  let offset = 0;
  return {
    reader: state,
    async write(writes) {
      const answer = await state.write({ to: ++offset, metadata: '', writes });
      if (answer !== 'ok') throw new Error(`the only owner was answered ${answer}`);
    },
    async [Symbol.asyncDispose]() {},
  };
});

describe("a task's state in Redis", () => {
  it('is empty for the first owner, and keeps what was written for the next', async () => {
    const task = newTask();
    const first = owner(task, 'a');
    expect(await first.claim(0)).toEqual({ epoch: 1, offset: null, metadata: null });
    expect(await first.write({ to: 10, metadata: '{"w":1}', writes: [set('k1', 'v1'), set('k2', 'v2')] })).toBe('ok');
    expect(await first.write({ to: 25, metadata: '{"w":2}', writes: [set('k1', 'v3'), remove('k2')] })).toBe('ok');

    const second = owner(task, 'b');
    expect(await second.claim(0)).toEqual({ epoch: 2, offset: 25, metadata: '{"w":2}' });
    expect(await read(second, 'k2', 'k1', 'k0')).toEqual([null, 'v3', null]);
  });

  it('moves its offset without any change of values', async () => {
    const state = owner(newTask(), 'a');
    await state.claim(0);
    expect(await state.write({ to: 5, metadata: 'm', writes: [] })).toBe('ok');
    expect(await state.write({ to: 9, metadata: 'n', writes: [] })).toBe('ok');
  });

  it('fences the former owner: it can neither write nor read', async () => {
    const task = newTask();
    const former = owner(task, 'a');
    await former.claim(0);
    await former.write({ to: 10, metadata: '', writes: [set('k', 'right')] });
    const latter = owner(task, 'b');
    await latter.claim(0);

    expect(await former.write({ to: 20, metadata: '', writes: [set('k', 'wrong')] })).toBe('fenced');
    await expect(read(former, 'k')).rejects.toMatchObject({ code: 'TASK_FENCED' });
    expect(await read(latter, 'k')).toEqual(['right']);
  });

  it('gives the same owner the same epoch when its claim arrives twice, and the next owner a higher one', async () => {
    const task = newTask();
    const state = owner(task, 'a');
    await state.claim(0);
    await state.write({ to: 3, metadata: 'm', writes: [set('k', 'v')] });
    expect(await state.claim(0)).toEqual({ epoch: 1, offset: 3, metadata: 'm' });
    expect(await owner(task, 'b').claim(0)).toMatchObject({ epoch: 2 });
  });

  it('raises its epoch above the one that the log knows of, when it forgot the last ones itself', async () => {
    const task = newTask();
    expect(await owner(task, 'a').claim(7)).toMatchObject({ epoch: 8 });
    expect(await owner(task, 'b').claim(3)).toMatchObject({ epoch: 9 });
  });

  it('answers a write that arrives twice with "already", and applies it once', async () => {
    const task = newTask();
    const state = owner(task, 'a');
    await state.claim(0);
    await state.write({ to: 10, metadata: '', writes: [set('k', 'first')] });
    // What a command sent twice looks like: the same owner and epoch, from an offset that is no longer there.
    const twin = owner(task, 'a');
    await twin.claim(0);
    expect(await twin.write({ to: 10, metadata: '', writes: [set('k', 'again')] })).toBe('already');
    expect(await read(state, 'k')).toEqual(['first']);
  });

  it('answers "mismatch" when the store is emptied, and lets nothing be read from it', async () => {
    const task = newTask();
    const state = owner(task, 'a');
    await state.claim(0);
    await state.write({ to: 10, metadata: '', writes: [set('k', 'v')] });
    await client.del(`sluice:{${task}}`, `sluice:{${task}}:card`);

    expect(await state.write({ to: 20, metadata: '', writes: [set('k', 'w')] })).toBe('mismatch');
    await expect(read(state, 'k')).rejects.toMatchObject({ code: 'STATE_WENT_BACK' });
    expect(await state.claim(0)).toMatchObject({ offset: null });
  });

  it('keeps the keys of one operator from those of another', async () => {
    const state = owner(newTask(), 'a');
    await state.claim(0);
    await state.write({ to: 1, metadata: '', writes: [set('k', 'of card'), set('k', 'of terminal', 'terminal')] });
    expect(await scan(state)).toEqual(['k=of card']);
    expect(await scan(state, 'terminal')).toEqual(['k=of terminal']);
  });

  it('writes and reads a hundred and fifty thousand keys in one command each, and scans them in byte order', async () => {
    const state = owner(newTask(), 'a');
    await state.claim(0);
    const keys = Array.from({ length: 150_000 }, (_, i) => `card-${(i * 7919) % 150_000}`);
    await state.write({ to: 1, metadata: '', writes: keys.map((key) => set(key, `of ${key}`)) });

    const values = await state.getMany('card', keys.map(text));
    expect(values.map((value) => Buffer.from(value ?? []).toString())).toEqual(keys.map((key) => `of ${key}`));
    expect(await scan(state)).toEqual(keys.toSorted().map((key) => `${key}=of ${key}`));

    await state.write({ to: 2, metadata: '', writes: keys.slice(100).map(remove) });
    expect(await scan(state)).toHaveLength(100);
  });

  it('holds any bytes, and what a map holds after any writes', async () => {
    const write = fc.record({
      operatorId: fc.constantFrom('card', 'terminal'),
      key: fc.uint8Array({ minLength: 1, maxLength: 3 }),
      value: fc.option(fc.uint8Array({ maxLength: 20 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(write, { maxLength: 12 }), { maxLength: 6 }), async (steps) => {
        const state = owner(newTask(), 'a');
        await state.claim(0);
        const twin = new Map<string, string>();
        for (const [i, writes] of steps.entries()) {
          // One step names a key once, as operators do.
          const once = [...new Map(writes.map((w) => [`${w.operatorId}/${Buffer.from(w.key).toString('hex')}`, w]))];
          await state.write({ to: i + 1, metadata: '', writes: once.map(([, w]) => w) });
          for (const [name, { value }] of once) {
            if (value === null) twin.delete(name);
            else twin.set(name, Buffer.from(value).toString('hex'));
          }
        }
        const held: [string, string][] = [];
        for (const operatorId of ['card', 'terminal']) {
          for await (const { key, value } of state.scan(operatorId)) {
            held.push([`${operatorId}/${Buffer.from(key).toString('hex')}`, Buffer.from(value).toString('hex')]);
          }
        }
        expect(held).toEqual([...twin].toSorted(([a], [b]) => (a < b ? -1 : 1)));
      }),
      { numRuns: 40 },
    );
  });
});

describe("a task's state in a Redis Cluster", () => {
  let clusterDir: string;
  let node: RedisService;
  let cluster: RedisClient;

  beforeAll(async () => {
    clusterDir = mkdtempSync(join(tmpdir(), 'sluice-state-'));
    // One node that has every slot: what a cluster refuses (keys of several slots in one script, an unhashed key), it refuses, too.
    node = await startRedis({
      dir: clusterDir,
      settings: { 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' },
    });
    const setup = new Redis(node.port, '127.0.0.1');
    await setup.cluster('ADDSLOTSRANGE', 0, 16_383);
    await waitUntil(async () => (await setup.cluster('INFO')).includes('cluster_state:ok'), 20_000);
    setup.disconnect();
    const nodes = [{ host: '127.0.0.1', port: node.port }];
    cluster = connectRedis({ topology: { kind: 'cluster', nodes } }, () => undefined);
  });

  afterAll(async () => {
    cluster.disconnect();
    await node.kill();
    rmSync(clusterDir, { recursive: true, force: true });
  });

  it('is claimed, written, read, scanned and fenced as in a single server', async () => {
    const first = new RedisTaskState(cluster, { task: 'app.test.in-0', owner: 'a' });
    expect(await first.claim(0)).toEqual({ epoch: 1, offset: null, metadata: null });
    const writes = [set('k', 'v'), set('l', 'w'), set('k', 'other', 'terminal')];
    expect(await first.write({ to: 5, metadata: 'm', writes })).toBe('ok');
    expect(await read(first, 'l', 'k', 'j')).toEqual(['w', 'v', null]);
    expect(await scan(first, 'terminal')).toEqual(['k=other']);

    const second = new RedisTaskState(cluster, { task: 'app.test.in-0', owner: 'b' });
    expect(await second.claim(0)).toEqual({ epoch: 2, offset: 5, metadata: 'm' });
    expect(await first.write({ to: 6, metadata: '', writes: [set('k', 'stale')] })).toBe('fenced');
    expect(await read(second, 'k')).toEqual(['v']);
  });
});

describe("a task's state, when Redis fails", () => {
  let ownDir: string;
  let own: RedisService;
  const clients: RedisClient[] = [];

  function ownState(task: string, name: string): RedisTaskState {
    const connection = connect(own.port);
    clients.push(connection);
    return new RedisTaskState(connection, { task, owner: name });
  }

  async function start(settings: Record<string, string> = {}): Promise<void> {
    ownDir = mkdtempSync(join(tmpdir(), 'sluice-state-'));
    own = await startRedis({ dir: ownDir, settings });
  }

  afterEach(async () => {
    for (const connection of clients.splice(0)) connection.disconnect();
    await own.kill();
    rmSync(ownDir, { recursive: true, force: true });
  });

  it('refuses one that may evict, with the setting to change', async () => {
    await start({ 'maxmemory-policy': 'volatile-lru' });
    await expect(ownState('t', 'a').claim(0)).rejects.toMatchObject({
      code: 'REDIS_EVICTS',
      message: expect.stringContaining('must be noeviction'),
    });
  });

  it('fails at once, as something to try again, while it is away, and goes on when it is back', async () => {
    await start({ appendfsync: 'always' });
    const state = ownState('t', 'a');
    await state.claim(0);
    await state.write({ to: 1, metadata: '', writes: [set('k', 'one')] });
    const { port } = own;
    await own.kill();

    const step = { to: 2, metadata: '', writes: [set('k', 'two')] };
    await expect(state.write(step)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE', retryable: 'transient' });

    own = await startRedis({ dir: ownDir, port, settings: { appendfsync: 'always' } });
    await expect.poll(() => state.write(step).catch(() => 'away'), { timeout: 120_000 }).toMatch(/ok|already/);
    expect(await read(state, 'k')).toEqual(['two']);
  });

  it('applies a write once though its answer came too late and it was sent again', async () => {
    await start();
    const state = ownState('t', 'a');
    await state.claim(0);
    const step = { to: 1, metadata: '', writes: [set('k', 'one')] };
    own.freeze();
    await expect(state.write(step)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE', retryable: 'transient' });
    own.thaw();

    expect(await state.write(step)).toBe('already');
    expect(await read(state, 'k')).toEqual(['one']);
  });

  it('gives up a connection that brings no answer, and with it what waits there for one', async () => {
    await start();
    const state = ownState('t', 'a');
    await state.claim(0);
    const closed = new Promise((resolve) => clients[0]?.once('close', resolve));
    own.freeze();
    const step = { to: 1, metadata: '', writes: [set('k', 'one')] };
    await expect(state.write(step)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    await closed;
    await expect(state.write(step)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    own.thaw();
    await expect.poll(() => state.write(step).catch(() => 'away'), { timeout: 120_000 }).toMatch(/ok|already/);
    expect(await read(state, 'k')).toEqual(['one']);
  });

  it('reads while a write is under way, and after one whose fate is open', async () => {
    await start();
    const state = ownState('t', 'a');
    await state.claim(0);
    const writing = state.write({ to: 1, metadata: '', writes: [set('k', 'one')] });
    expect(await read(state, 'k')).toEqual(['one']);
    await writing;

    own.freeze();
    await expect(state.write({ to: 2, metadata: '', writes: [set('k', 'two')] })).rejects.toThrow('timed out');
    own.thaw();
    expect(await read(state, 'k')).toEqual(['two']);
  });

  it('notices that it lost the end of its append-only file, at the next read as at the next write', async () => {
    await start({ appendfsync: 'always' });
    const state = ownState('t', 'a');
    await state.claim(0);
    await state.write({ to: 1, metadata: 'one', writes: [set('k', 'one')] });
    const aof = join(ownDir, 'appendonlydir');
    const [file = ''] = (await readdir(aof)).filter((name) => name.endsWith('.incr.aof'));
    const sizeBefore = readFileSync(join(aof, file)).length;
    await state.write({ to: 2, metadata: 'two', writes: [set('k', 'two')] });
    const { port } = own;
    await own.kill();
    truncateSync(join(aof, file), sizeBefore);
    own = await startRedis({ dir: ownDir, port });

    await expect
      .poll(() => read(state, 'k').catch((error: unknown) => (error as { code: string }).code), { timeout: 120_000 })
      .toBe('STATE_WENT_BACK');
    expect(await state.write({ to: 3, metadata: 'three', writes: [set('k', 'three')] })).toBe('mismatch');
    expect(await state.claim(0)).toMatchObject({ offset: 1, metadata: 'one' });
    expect(await read(state, 'k')).toEqual(['one']);
  });

  it('says that Redis is full, applies nothing of the write, and goes on once there is memory', async () => {
    await start();
    const state = ownState('t', 'a');
    await state.claim(0);
    await state.write({ to: 1, metadata: '', writes: [set('k', 'one')] });
    const connection = clients[0];
    await connection?.config('SET', 'maxmemory', '100kb');

    const step = { to: 2, metadata: '', writes: [set('k', 'two')] };
    await expect(state.write(step)).rejects.toMatchObject({ code: 'REDIS_FULL', retryable: 'transient' });
    expect(await read(state, 'k')).toEqual(['one']);
    await connection?.config('SET', 'maxmemory', '0');
    expect(await state.write(step)).toBe('ok');
  });

  it('refuses a wrong password in words, and takes the right one from a file', async () => {
    await start({ requirepass: 'sesame' });
    const passwordFile = join(ownDir, 'password');
    writeFileSync(passwordFile, 'sesame\n');
    const topology = { kind: 'single', host: '127.0.0.1', port: own.port } as const;
    const wrong = connectRedis({ topology, password: 'sesam' }, () => undefined);
    const right = connectRedis({ topology, passwordFile }, () => undefined);
    clients.push(wrong, right);

    await expect(new RedisTaskState(wrong, { task: 't', owner: 'a' }).claim(0)).rejects.toMatchObject({
      code: 'REDIS_REFUSED',
    });
    expect(await new RedisTaskState(right, { task: 't', owner: 'a' }).claim(0)).toMatchObject({ epoch: 1 });
  });
});
