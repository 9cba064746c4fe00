import { strict as assert } from 'node:assert';
import { fileURLToPath } from 'node:url';
import { isBalanced } from '../../engine/observability/ledger.ts';
import type { QueryTotals } from '../../engine/execution/streaming-query.ts';
import { messageValue } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import type { NexmarkEvent } from '../../simulation/nexmark/event.ts';
import { closingEvents, closingFromMs } from './closing-events.ts';

/** A row of a topic: nested fields by dotted names, instants in milliseconds. */
export type Row = Readonly<Record<string, number | string | boolean | null>>;

/** Where events of each kind go, by `event_type`, and which field keys them there. */
const topics = ['nexmark-persons', 'nexmark-auctions', 'nexmark-bids'] as const;
const hourMs = 3_600_000;
const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Nexmark's topics on an embedded log, and the jobs over them. */
export class AuctionHouse implements AsyncDisposable {
  readonly #directory: string;
  readonly #storage: Storage;
  readonly #closingFromMs: number;
  readonly #totals = new Map<string, QueryTotals>();

  private constructor(directory: string, storage: Storage, closesFromMs: number) {
    this.#directory = directory;
    this.#storage = storage;
    this.#closingFromMs = closesFromMs;
  }

  /** Writes events, and behind them those that let every window close, to topics of so many partitions. */
  static async open(directory: string, events: readonly NexmarkEvent[], partitions: number): Promise<AuctionHouse> {
    const storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    for (const topic of topics) storage.ensureTopic(topic, { partitionCount: partitions });
    const placed = events.map((event) => ({ event, partition: keyOf(event) % partitions }));
    const closesFromMs = closingFromMs(events);
    for (let partition = 0; partition < partitions; partition++) {
      placed.push(...closingEvents(closesFromMs, partition).map((event) => ({ event, partition })));
    }
    for (const [type, topic] of topics.entries()) {
      const own = placed.filter(({ event }) => event.event_type === type);
      const messages = own.map(({ event, partition }) => {
        return { partition, key: String(keyOf(event)), value: JSON.stringify(event), timestampMs: event.published };
      });
      await storage.append(messageBatchOf(topic, messages));
    }
    return new AuctionHouse(directory, storage, closesFromMs);
  }

  /** Runs a job of `jobs/nexmark` over what is there; once. */
  async run(job: string, bounds: { readonly maxBatchRecords?: number } = {}): Promise<QueryTotals> {
    const before = this.#totals.get(job);
    if (before !== undefined) return before;
    const outcome = await loadJob(fileURLToPath(new URL(`../../jobs/nexmark/${job}.yaml`, import.meta.url)));
    assert(outcome.ok, `${job}: ${JSON.stringify(outcome)}`);
    const profile = { storage: this.#storage, directory: this.#directory, modelsDirectory: '', logger, bounds };
    await using run = await openLocalRun(outcome.job, profile);
    await run.run('availableNow', new AbortController().signal);
    const { totals } = run.query;
    assert(isBalanced(totals.ledger));
    this.#totals.set(job, totals);
    return totals;
  }

  /** What a topic holds, but for what the closing events brought. */
  async read(topic: string): Promise<readonly Row[]> {
    const rows = (await this.#texts(topic)).map((text) => rowOf(JSON.parse(text) as object));
    // A hopping window of a closing event begins before it.
    const isClosing = (value: unknown): boolean => typeof value === 'number' && value >= this.#closingFromMs - hourMs;
    return rows.filter((row) => !Object.values(row).some(isClosing));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#storage[Symbol.asyncDispose]();
  }

  async #texts(topic: string): Promise<readonly string[]> {
    await using source = new EmbeddedTopicSource(this.#storage, topic);
    const ranges = await source.ranges();
    await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
    const total = ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
    const texts: string[] = [];
    while (texts.length < total) {
      const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 20 });
      if (polled?.kind !== 'messages') continue;
      for (let i = 0; i < polled.messages.messageCount; i++) {
        texts.push(Buffer.from(messageValue(polled.messages, i)).toString());
      }
    }
    return texts;
  }
}

function keyOf(event: NexmarkEvent): number {
  return event.event_type === 2 ? event.auction : event.id;
}

function rowOf(value: object, prefix = ''): Row {
  const fields = Object.entries(value).flatMap(([name, field]: [string, unknown]): [string, Row[string]][] => {
    if (typeof field === 'object' && field !== null) return Object.entries(rowOf(field, `${prefix}${name}.`));
    const isTime = typeof field === 'string' && isInstant.test(field);
    return [[`${prefix}${name}`, isTime ? Date.parse(field) : (field as Row[string])]];
  });
  return Object.fromEntries(fields);
}

const fail = (message: string): never => assert.fail(`nothing should be logged; got "${message}"`);
const logger = { info: fail, warn: fail, error: fail };
