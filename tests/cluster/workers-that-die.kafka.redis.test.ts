import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageValue } from '../../engine/record/message-batch.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import type { WorkerSettings } from './cluster-worker.ts';

const partitions = 4;
const records = 24_000;
const cards = 200;

let dir: string;
let broker: KafkaService;
let redis: RedisService;
let settings: KafkaSettings;
const running = new Set<ChildProcess>();
/** Workers that ended though nobody had asked them to. */
const deaths: string[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-workers-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
  redis = await startRedis({ dir: join(dir, 'redis') });
  settings = { brokers: [broker.bootstrap], clientId: 'test' };
});

afterAll(async () => {
  for (const worker of running) worker.kill('SIGKILL');
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

interface Sent {
  readonly id: string;
  readonly card: string;
  readonly time: number;
  readonly amount: number;
}

/** Records of each partition, a card always in the same one. */
function newRecords(): Sent[][] {
  const sent: Sent[][] = Array.from({ length: partitions }, () => []);
  for (let i = 0; i < records; i++) {
    const card = (i * 7_919) % cards;
    sent[card % partitions]?.push({ id: `r${i}`, card: `c${card}`, time: 1_700_000_000_000 + i, amount: (i % 97) + 1 });
  }
  return sent;
}

/** What an uninterrupted run over the log answers, and leaves as state. */
function expected(sent: readonly (readonly Sent[])[]): { outputs: string[][]; state: Map<string, number> } {
  const state = new Map<string, number>();
  const outputs = sent.map((list) =>
    list.map(({ id, card, amount }) => {
      const total = (state.get(card) ?? 0) + amount;
      state.set(card, total);
      return JSON.stringify({ id, total });
    }),
  );
  return { outputs, state };
}

async function produce(topic: string, sent: readonly (readonly Sent[])[]): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': broker.bootstrap });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  sent.forEach((list, partition) => {
    for (const record of list) producer.produce(topic, partition, Buffer.from(JSON.stringify(record)), record.card);
  });
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

/** Starts a worker; what it says goes to ours when it is about an end that nobody asked for. */
function startWorker(worker: WorkerSettings): ChildProcess {
  const program = fileURLToPath(new URL('worker-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(worker)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '32' },
  });
  running.add(child);
  child.once('exit', (code, signal) => {
    running.delete(child);
    if (!child.killed) deaths.push(`code ${code}, signal ${signal}`);
  });
  child.stderr?.setEncoding('utf8').on('data', (words: string) => {
    if (words.includes('halted')) process.stderr.write(words);
  });
  return child;
}

describe('workers that are killed and frozen again and again', () => {
  it('answer every record once and in order, and leave the state of an uninterrupted run', async () => {
    using admin = new KafkaAdmin(settings);
    const job = 'totals';
    for (const topic of ['in', 'out']) await admin.createTopic({ topic, partitions });
    const sent = newRecords();
    await produce('in', sent);
    const worker: WorkerSettings = {
      brokers: [broker.bootstrap],
      redisPort: redis.port,
      job,
      input: 'in',
      output: 'out',
      sessionTimeoutMs: 2_000,
      maxBatchRecords: 40,
      flushEveryMs: 100,
    };
    await using reader = await KafkaSource.open({ settings, topic: 'out', partitions: 'all' });
    await reader.seek(sent.map((_, partition) => ({ partition, offset: 0 })));
    const seen: string[][] = sent.map(() => []);
    const seenCount = (): number => seen.reduce((count, list) => count + list.length, 0);
    const readUntil = async (count: number): Promise<void> => {
      while (seenCount() < count) {
        const polled = await reader.poll({ maxRecords: 2_000, maxWaitMs: 200 });
        if (polled?.kind !== 'messages') continue;
        const { messages } = polled;
        for (let i = 0; i < messages.messageCount; i++) {
          seen[messages.partitions[i] ?? 0]?.push(Buffer.from(messageValue(messages, i)).toString());
        }
      }
    };

    const workers = [startWorker(worker), startWorker(worker)];
    const faults = 8;
    for (let fault = 0; fault < faults; fault++) {
      await readUntil(((fault + 1) * records) / (faults + 2));
      const victim = workers[fault % 2];
      if (fault % 4 === 3) {
        // Frozen for so long that the group gives its partitions away, wherever it is in a batch; then it wakes and believes it has them.
        victim?.kill('SIGSTOP');
        await readUntil(((fault + 1.7) * records) / (faults + 2));
        victim?.kill('SIGCONT');
      } else {
        victim?.kill('SIGKILL');
        workers[fault % 2] = startWorker(worker);
      }
    }
    await readUntil(records);
    // One more record a partition, so that whoever has it now has replayed what the dead left behind, and ends in good order.
    const last = sent.map((list) => [{ ...list[0], id: 'last' } as Sent]);
    await produce('in', last);
    last.forEach((list, partition) => sent[partition]?.push(...list));
    await readUntil(records + partitions);
    expect(deaths).toEqual([]);
    const ends = workers.map((child) => once(child, 'exit'));
    for (const child of workers) child.kill('SIGTERM');
    await Promise.all(ends);
    await reader.poll({ maxRecords: 2_000, maxWaitMs: 500 });

    const { outputs, state } = expected(sent);
    expect(seen.map((list) => list.length)).toEqual(outputs.map((list) => list.length));
    expect(seen).toEqual(outputs);
    const store = connectRedis({ topology: { kind: 'single', host: redis.host, port: redis.port } }, () => undefined);
    const stored = new Map<string, number>();
    for (const partition of sent.keys()) {
      const hash = await store.hgetall(`sluice:{${job}.in-${partition}}:total`);
      for (const [card, total] of Object.entries(hash)) stored.set(card, Number(total));
    }
    store.disconnect();
    expect(Object.fromEntries(stored)).toEqual(Object.fromEntries(state));
  }, 300_000);
});
