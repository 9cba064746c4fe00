import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import { expect, vi } from 'vitest';
import { messageValue } from '../../engine/record/message-batch.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { kafkaCall } from '../../engine/source/kafka/kafka-failure.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';

const partitions = 4;
const cards = 50;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where the services are: to the test, which reads and writes topics, and to the command, by its environment. */
export interface CardServices {
  /** A folder for the jobs' files. */
  readonly dir: string;
  readonly bootstrap: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A job of its own, with a topic that has the input's partitions; gives the job file's path. */
export async function newCardJob(
  { dir, bootstrap }: CardServices,
  name: string,
  features: 'of the card' | 'of two entities' = 'of the card',
): Promise<string> {
  const folder = join(dir, name);
  for (const sub of ['jobs', 'features']) mkdirSync(join(folder, sub), { recursive: true });
  writeFileSync(
    join(folder, 'features/card.yaml'),
    `entity: card
features:
  count_30d: { count: true, over: 30d, current: include }
  sum_30d: { sum: amount, over: 30d, current: include }
`,
  );
  writeFileSync(
    join(folder, 'features/shop.yaml'),
    `entity: shop
features:
  shop_count_30d: { count: true, over: 30d, current: include }
  shop_share: { expr: shop_count_30d / count_30d }
`,
  );
  const file = join(folder, 'jobs/job.yaml');
  writeFileSync(
    file,
    `job: ${name}
app: shop
source:
  topic: ${name}.in
  fields: { id: string, card: string, shop: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 1s }
features: ${features === 'of the card' ? '[card]' : '[card, shop]'}
sinks: [{ topic: ${name}.out }]
deadLetters: { topic: ${name}.bad }
state: { flushEvery: 200ms }
`,
  );
  using admin = new KafkaAdmin(settingsOf(bootstrap));
  await admin.createTopic({ topic: `${name}.in`, partitions });
  return file;
}

/**
 * Sends records `[from, to)`: a card always to the same partition, its amounts 1, 2, 3 … Idempotent: a send that is made again (the topic is new, and has no leader
 * yet) would otherwise come after those that followed it.
 */
export async function produceCards(
  { bootstrap }: Pick<CardServices, 'bootstrap'>,
  name: string,
  from: number,
  to: number,
  further: readonly string[] = [],
): Promise<void> {
  const producer = new kafka.Producer({ 'bootstrap.servers': bootstrap, 'enable.idempotence': true });
  await kafkaCall<kafka.Metadata>((done) => producer.connect({}, done));
  for (let i = from; i < to; i++) {
    const card = i % cards;
    const shop = `s${i % 7}`;
    const record = {
      id: `r${i}`,
      card: `c${card}`,
      shop,
      at: 1_700_000_000_000 + i * 1_000,
      amount: Math.floor(i / cards) + 1,
    };
    producer.produce(`${name}.in`, card % partitions, Buffer.from(JSON.stringify(record)), record.card);
  }
  for (const text of further) producer.produce(`${name}.in`, 0, Buffer.from(text), null);
  await kafkaCall<void>((done) => producer.flush(30_000, (error) => done(error, undefined)));
  await kafkaCall<kafka.ClientMetrics>((done) => producer.disconnect(done));
}

interface Answer {
  readonly id: string;
  readonly card: string;
  readonly features: { readonly count_30d: number; readonly sum_30d: number };
}

/** What committed readers see of a topic as it grows. */
export class TopicReader {
  readonly values: string[] = [];
  readonly #source: KafkaSource;

  private constructor(source: KafkaSource) {
    this.#source = source;
  }

  /** Opens a topic once it is there. */
  static async open({ bootstrap }: Pick<CardServices, 'bootstrap'>, topic: string): Promise<TopicReader> {
    const settings = settingsOf(bootstrap);
    using admin = new KafkaAdmin(settings);
    const isThere = async (): Promise<boolean> => (await admin.partitionCount(topic)) === partitions;
    await vi.waitUntil(isThere, { timeout: 100_000, interval: 200 });
    const source = await KafkaSource.open({ settings, topic, partitions: 'all' });
    await source.seek(Array.from({ length: partitions }, (_, partition) => ({ partition, offset: 0 })));
    return new TopicReader(source);
  }

  async until(isEnough: (values: readonly string[]) => boolean): Promise<void> {
    while (!isEnough(this.values)) await this.#poll();
  }

  /** Reads on as far as committed readers can come now. */
  async toEnd(): Promise<void> {
    for (const { partition, endOffset } of await this.#source.ranges()) {
      while ((this.#source.positions().find((at) => at.partition === partition)?.offset ?? 0) < endOffset) {
        await this.#poll();
      }
    }
  }

  async #poll(): Promise<void> {
    const polled = await this.#source.poll({ maxRecords: 2_000, maxWaitMs: 200 });
    if (polled?.kind !== 'messages') return;
    const { messages } = polled;
    for (let i = 0; i < messages.messageCount; i++) this.values.push(Buffer.from(messageValue(messages, i)).toString());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}

/** The command in a process of its own, from source; its output goes on as it comes. */
export class SluiceCommand implements Disposable {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  stdout = '';
  stderr = '';

  constructor({ environment }: Pick<CardServices, 'environment'>, args: readonly string[]) {
    this.child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NO_COLOR: '1',
        UV_THREADPOOL_SIZE: '32',
        ...environment,
      },
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = once(this.child, 'close').then(([code]) => code as number | null);
  }

  /** The figures that it ended with. */
  get figures(): Readonly<Record<string, number | null>> {
    const line = this.stdout.trimEnd().split('\n').at(-1) ?? '';
    if (!line.startsWith('{')) throw new Error(`the command ended without figures:\n${this.stderr}`);
    return JSON.parse(line) as Readonly<Record<string, number | null>>;
  }

  /** The processes that it has started. */
  async workers(): Promise<readonly number[]> {
    const { pid = 0 } = this.child;
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(' ').map(Number);
  }

  /** Kills it where it still runs. */
  [Symbol.dispose](): void {
    this.child.kill('SIGKILL');
  }
}

/** Every record is answered once, with its card's count and sum up to it. */
export function expectCardsAnsweredOnce(values: readonly string[], count: number): void {
  const answers = values.map((value) => JSON.parse(value) as Answer);
  expect(answers).toHaveLength(count);
  const byId = new Map(answers.map((answer) => [answer.id, answer]));
  for (let i = 0; i < count; i++) {
    const n = Math.floor(i / cards) + 1;
    expect(byId.get(`r${i}`)?.features).toMatchObject({ count_30d: n, sum_30d: (n * (n + 1)) / 2 });
  }
}

function settingsOf(bootstrap: string): KafkaSettings {
  return { brokers: [bootstrap], clientId: 'test' };
}
