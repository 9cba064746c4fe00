import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageValue } from '../../engine/record/message-batch.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import type { StateWrite } from '../../engine/state/state-store.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { StateSwap } from '../../engine/storage/state-swap.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { scanState, type StateRow, type StateView } from '../../jobs/state/state-view.ts';
import { openStoredState } from '../../jobs/state/stored-state.ts';

/** A payment, as its message has it. */
export interface Payment {
  readonly id: string;
  readonly at: number;
  readonly card: string;
  readonly terminal: string;
  readonly amount: number | null;
}

/** The feature files and the job that tests start from; a test changes a line of one. */
export const files = {
  'job.yaml': `job: payments
source:
  topic: payments
  fields: { id: string, at: timestamp, card: string, terminal: string, amount: double? }
  key: card
  eventTime: { field: at, delay: 10s }
  duplicates: { by: id, within: 10m }
features: [./card.yaml, ./terminal.yaml]
sinks:
  - { topic: answers, partitions: 1 }
deadLetters: { topic: dead }
state: { flushEvery: 0s }
`,
  'card.yaml': `entity: card
features:
  card_avg_1h: { avg: amount, over: 1h }
  card_count_10m: { count: true, over: 10m, current: include }
  ratio: { expr: amount / card_avg_1h }
  large_30m: { count: true, where: ratio > 2, over: 30m }
`,
  'terminal.yaml': `entity: terminal
features:
  terminal_cards_1h: { distinct: card, over: 1h }
  terminal_ratio_1h: { max: ratio, over: 1h }
`,
} as const;

/** The name of one of the files. */
export type FileName = keyof typeof files;

/** A data directory, and the job files that tests run on it. */
export class StateUnderTest implements AsyncDisposable {
  readonly folder: string;
  readonly directory: string;
  readonly storage: Storage;
  readonly #partitions: number;
  readonly #topic: string;
  #jobs = 0;

  private constructor(folder: string, storage: Storage, topic: string, partitions: number) {
    this.folder = folder;
    this.directory = join(folder, 'data');
    this.storage = storage;
    this.#topic = topic;
    this.#partitions = partitions;
  }

  static async open(partitions: number, topic = 'payments'): Promise<StateUnderTest> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-state-'));
    const storage = await Storage.open({ directory: join(folder, 'data'), access: 'write', clock: systemClock });
    storage.ensureTopic(topic, { partitionCount: partitions });
    return new StateUnderTest(folder, storage, topic, partitions);
  }

  /** Writes a job with some of the files changed; gives its path. */
  async jobFile(changes: Partial<Record<FileName, string>> = {}): Promise<string> {
    const folder = join(this.folder, `job-${this.#jobs++}`);
    await mkdir(folder, { recursive: true });
    for (const [name, text] of Object.entries({ ...files, ...changes })) await writeFile(join(folder, name), text);
    return join(folder, 'job.yaml');
  }

  /** The job of those files. */
  async job(changes: Partial<Record<FileName, string>> = {}): Promise<CheckedJob> {
    const outcome = await loadJob(await this.jobFile(changes));
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    return outcome.job;
  }

  /** Appends payments, each to the partition of its card. */
  async add(payments: readonly Payment[]): Promise<void> {
    const partitionOf = keyPartitioner(this.#partitions);
    const messages = payments.map((payment) => {
      const key = Buffer.from(payment.card);
      const partition = partitionOf({ data: key, offsets: Int32Array.of(0, key.length) }, 0, 0);
      return { key: payment.card, value: JSON.stringify(payment), partition };
    });
    if (messages.length > 0) await this.storage.append(messageBatchOf(this.#topic, messages));
  }

  /** Runs the job over what is there. */
  async run(job: CheckedJob, maxBatchRecords = 1_000): Promise<void> {
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const { storage, directory } = this;
    await using run = await openLocalRun(job, {
      storage,
      directory,
      modelsDirectory: '',
      logger,
      bounds: { maxBatchRecords },
    });
    await run.run('availableNow', new AbortController().signal);
  }

  /** Everything that the job's operators remember. */
  rows(job: CheckedJob): Promise<readonly StateRow[]> {
    return rowsOf(openStoredState(job, this.storage));
  }

  /** What the job has published. */
  async answers(topic = 'answers'): Promise<readonly string[]> {
    const source = new EmbeddedTopicSource(this.storage, topic);
    const ranges = await source.ranges();
    await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
    const texts: string[] = [];
    for (let left = ranges.reduce((sum, { endOffset }) => sum + endOffset, 0); left > 0;) {
      const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 1_000 });
      if (polled?.kind !== 'messages') throw new Error('the topic ends before its end');
      const { messages } = polled;
      for (let i = 0; i < messages.messageCount; i++) texts.push(Buffer.from(messageValue(messages, i)).toString());
      left -= messages.messageCount;
    }
    return texts;
  }

  /** Writes other bytes in the place of one stored value. */
  async damage(job: CheckedJob, operatorId: string, key: string, change: (value: Uint8Array) => void): Promise<void> {
    const { reader, stored } = openStoredState(job, this.storage);
    const writes: StateWrite[] = [];
    for await (const entry of reader.scan(operatorId)) {
      const value = Uint8Array.from(entry.value);
      if (Buffer.from(entry.key).toString() === key) change(value);
      writes.push({ operatorId, key: entry.key, value });
    }
    const claim = await this.storage.claims.take(`job ${job.name}`);
    const swap = StateSwap.begin(this.storage, job.name, claim);
    swap.put(writes);
    swap.activate({ row: stored.row, replaces: 'staged', order: 'stays' });
    this.storage.claims.release(claim);
  }

  /** Closes it and deletes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** All rows of a view. */
export async function rowsOf(view: StateView): Promise<readonly StateRow[]> {
  const rows: StateRow[] = [];
  for await (const row of scanState(view, null)) rows.push(row);
  return rows;
}
