import fc from 'fast-check';
import { lastValueFrom, of } from 'rxjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { idleBatch, idlePartitions } from '../../../engine/execution/idle-batch.ts';
import { runSection } from '../../../engine/execution/section.ts';
import type { RecordBatch } from '../../../engine/record/record-batch.ts';
import { encodeDeadLetters } from '../../../engine/serde/dead-letter-encoder.ts';
import type { Encoder } from '../../../engine/serde/encoder.ts';
import type { SchemaRegistry } from '../../../engine/serde/schema-registry.ts';
import { messageValue, type MessageBatch } from '../../../engine/record/message-batch.ts';
import { messageBatchOf, type MessageInput } from '../../../engine/storage/message-batch-builder.ts';
import { PartitionWatermarks } from '../../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../../engine/time/stamp-watermarks.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { loadFiles } from '../../testing/job-folder.ts';
import { MemoryLog, noCommitLog, noSource, TaskUnderTest } from '../../testing/stage-chain.ts';
import { assembleQuery } from '../assemble-query.ts';
import { assembleStage } from './assemble-stage.ts';
import { lateRecords, openLateEncoder } from '../open-late-encoder.ts';
import { outputTopics } from '../open-outputs.ts';
import { openDecoder } from '../open-source.ts';
import { planStages } from './stages.ts';
import { openResultEncoder } from '../window-outputs.ts';

const counts = { input: 3, exchange: 3 };
const noRegistry = {} as SchemaRegistry;

const job = (rest: string, clock = ''): string => `job: job
app: app
source:
  topic: in
  fields: { id: string, card: string, shop: string, city: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 2s, idleTimeout: 5s${clock} }
deadLetters: { topic: bad }
features: none
sinks: [{ topic: out }]
${rest}`;
const windows = (key: string): string =>
  `windows: { key: ${key}, tumbling: 10s, aggregates: { n: { count: true }, total: { sum: amount } } }\n`;
const pattern = (key: string): string => `pattern:
  key: ${key}
  first: amount < 4
  followedBy: amount > 2 * first.amount
  within: 20s
  select: { tried: first.id, taken: id }
`;
const goesOn = ', advanceOnIdle: true';
const texts = {
  'windows of other keys': job(windows('shop')),
  'windows of other keys, by the clock': job(windows('shop'), goesOn),
  'windows of the key, by the clock': job(windows('[card, shop]'), goesOn),
  'windows of all records': job(
    'windows: { tumbling: 10s, aggregates: { n: { count: true }, ids: { collect: id } } }\n',
  ),
  'a pattern of other keys': job(pattern('shop')),
  'a pattern of the key, by the clock': job(pattern('card'), goesOn),
  'windows behind two exchanges': job(`sessions: { key: shop, gap: 10s }\n${windows('city')}`),
};
type Name = keyof typeof texts;

const jobs = new Map<string, CheckedJob>();

beforeAll(async () => {
  for (const [name, text] of Object.entries(texts)) {
    const outcome = await loadFiles({ 'jobs/job.yaml': text });
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    jobs.set(name, outcome.job);
  }
});

function jobNamed(name: Name): CheckedJob {
  const found = jobs.get(name);
  if (found === undefined) throw new Error(name);
  return found;
}

/** A record, or that its partition has been quiet for so long. */
interface Happening {
  readonly partition: number;
  readonly row: Readonly<Record<string, string | number>> | null;
  readonly idleForMs: number;
}

const startMs = 1_700_000_000_000;

/** Each partition begins with a record: one that has none is waited for on a cluster, and not in one process. Times are whole seconds, so that marks tell of each step. */
const happenings = fc
  .array(
    fc.record({
      partition: fc.nat(counts.input - 1),
      isIdle: fc.integer({ min: 0, max: 4 }).map((of5) => of5 === 0),
      shop: fc.constantFrom('s', 't'),
      stepSeconds: fc.constantFrom(0, 1, 1, 3, 8, 15),
      backSeconds: fc.constantFrom(0, 0, 0, 1, 6, 25),
      amount: fc.integer({ min: 0, max: 9 }),
    }),
    { minLength: 10, maxLength: 40, size: 'max' },
  )
  .map((drawn) => {
    let second = 0;
    const all: Happening[] = [];
    const add = (partition: number, at: number, shop: string, amount: number): void => {
      const card = `c${partition + counts.input * (all.length % 2)}`;
      const row = {
        id: `r${all.length}`,
        card,
        shop,
        city: all.length % 3 === 0 ? 'x' : 'y',
        at: startMs + at * 1_000,
        amount,
      };
      all.push({ partition, row, idleForMs: 0 });
    };
    for (let partition = 0; partition < counts.input; partition++) add(partition, 0, 's', 5);
    for (const { partition, isIdle, shop, stepSeconds, backSeconds, amount } of drawn) {
      second += stepSeconds;
      if (isIdle) all.push({ partition, row: null, idleForMs: 1_000 * (1 + stepSeconds) });
      else add(partition, second - backSeconds, shop, amount);
    }
    return all;
  });

function messageOf({ partition, row }: Happening): MessageInput {
  return { partition, key: String(row?.['card']), value: JSON.stringify(row), timestampMs: startMs };
}

function textsOf(messages: MessageBatch): readonly string[] {
  return Array.from({ length: messages.messageCount }, (_, index) =>
    Buffer.from(messageValue(messages, index)).toString(),
  );
}

const isOnByClock = ({ source }: CheckedJob): boolean => source.eventTime.advanceOnIdle === true;

async function encodersOf(checked: CheckedJob): Promise<{ encoders: Encoder[]; lateEncoder: Encoder | null }> {
  const encoders: Encoder[] = [];
  for (const output of outputTopics(checked)) {
    encoders.push(await openResultEncoder(checked, null, output, 1, noRegistry));
  }
  const late = lateRecords(checked);
  return { encoders, lateEncoder: late === null ? null : await openLateEncoder(late, 1, noRegistry) };
}

/** The tasks of all stages of a job over a log, which is written as the run goes on. */
class Chain {
  readonly log = new MemoryLog();
  readonly stages: readonly (readonly TaskUnderTest[])[];
  readonly topics: readonly string[];
  readonly #isOnByClock: boolean;
  /** Partitions that have been quiet for so long, in the order in which they were found to be. */
  readonly #idle = new Map<number, number>();

  private constructor(checked: CheckedJob, parts: Awaited<ReturnType<typeof encodersOf>>) {
    const stages = planStages(checked);
    this.#isOnByClock = isOnByClock(checked);
    this.topics = stages.map(({ input }) => (input === 'source' ? 'in' : input.topic));
    for (const topic of ['out', 'bad', 'job-late']) this.log.createTopic(topic, 1);
    stages.forEach(({ input }, index) => {
      this.log.createTopic(
        this.topics[index] ?? '',
        input === 'source' ? counts.input : (input.partitions ?? counts.exchange),
      );
    });
    this.stages = stages.map((stage, index) => {
      const topic = this.topics[index] ?? '';
      return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) => {
        const query = assembleStage(checked, stage, {
          source: noSource,
          commitLog: noCommitLog,
          input: 'in',
          decoder: stage.input === 'source' ? openDecoder(checked, noRegistry) : null,
          model: null,
          encoders: stage.output === 'results' ? parts.encoders : [],
          lateEncoder: parts.lateEncoder,
          encodeDeadLetters: (letters) => encodeDeadLetters('bad', letters, 1),
          partition,
          upstreamPartitions: this.log.partitionCount(this.topics[index - 1] ?? 'in'),
          downstreamPartitions: this.log.partitionCount(this.topics[index + 1] ?? 'out'),
        });
        return new TaskUnderTest(query, this.log, topic, partition);
      });
    });
  }

  static async open(checked: CheckedJob): Promise<Chain> {
    return new Chain(checked, await encodersOf(checked));
  }

  /** Lets something happen, and every stage take in all that comes of it; tasks die, and store their state, as `choose` has it. */
  async happen(what: Happening, choose: (below: number) => number): Promise<void> {
    this.#idle.delete(what.partition);
    if (what.row !== null) this.log.append(messageBatchOf('in', [messageOf(what)]));
    else {
      this.#idle.set(what.partition, what.idleForMs);
      await this.#tell(what.partition);
    }
    for (const task of this.stages.flat()) {
      while (task.lag > 0) await task.work(1 + choose(4));
      if (choose(4) === 0) task.store();
      if (choose(6) === 0) await task.die();
    }
    // Each timeout anew, where a stage between forgets what it was told.
    if (this.stages.length === 2) return;
    for (const partition of this.#idle.keys()) await this.#tell(partition);
    for (const task of this.stages.flat()) while (task.lag > 0) await task.work(1 + choose(4));
  }

  async #tell(partition: number): Promise<void> {
    const idleForMs = this.#isOnByClock ? (this.#idle.get(partition) ?? 0) : 0;
    await this.stages[0]?.[partition]?.goIdle(idleForMs);
  }

  texts(topic: string): readonly string[] {
    return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) =>
      this.log.of(topic, partition).map(({ value }) => Buffer.from(value).toString('latin1')),
    ).flat();
  }
}

/** What one process gives that reads all partitions, one thing after the other, and is told when they are idle. */
async function embedded(
  checked: CheckedJob,
  all: readonly Happening[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const parts = await encodersOf(checked);
  const query = assembleQuery(checked, {
    source: noSource,
    commitLog: noCommitLog,
    input: 'in',
    decoder: openDecoder(checked, noRegistry),
    model: null,
    ...parts,
    encodeDeadLetters: (letters) => encodeDeadLetters('bad', letters, 1),
  });
  const watermarks = new PartitionWatermarks();
  const section = query.openSection(
    { state: 'empty', watermarks: watermarks.copy() },
    { getMany: (_, keys) => Promise.resolve(keys.map(() => null)), scan: async function* () {} },
  );
  const outputs = new Map<string, string[]>([
    ['out', []],
    ['job-late', []],
  ]);
  const offsets = new Map<number, number>();
  for (const what of all) {
    const offset = offsets.get(what.partition) ?? 0;
    let batch: RecordBatch;
    if (what.row === null) {
      const { idle, decoder } = query;
      if (idle === undefined || decoder === null) throw new Error('the job waits');
      const range = {
        partition: what.partition,
        from: offset,
        to: offset,
        idleForMs: isOnByClock(checked) ? what.idleForMs : 0,
      };
      batch = idleBatch(idle.schema, idlePartitions([range], watermarks));
    } else {
      const messages = messageBatchOf('in', [{ ...messageOf(what), offset }]);
      batch = query.decoder?.decode(messages).records ?? expect.fail('it reads messages');
      stampWatermarks(batch, messages, watermarks, query.watermark);
      offsets.set(what.partition, offset + 1);
    }
    const { records, absorbed } = await lastValueFrom(of(batch).pipe(runSection(section)));
    const late =
      absorbed === null || absorbed.late.rowCount === 0 ? [] : (query.encodeLate?.(absorbed.late).messages ?? []);
    for (const messages of [...query.encode(records).messages, ...late]) {
      outputs.get(messages.topic)?.push(...textsOf(messages));
    }
  }
  return outputs;
}

function chooser(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Without where a record was read: behind two exchanges it has the position of the task that handed it on. */
const plain = (value: string): string => {
  const fields = JSON.parse(value) as Record<string, unknown>;
  return JSON.stringify({ ...fields, source_partition: 0, source_offset: 0 });
};

describe('the stages of a job whose partitions go quiet', () => {
  it.each(Object.keys(texts) as Name[])(
    'give what one process gives, whatever dies, where their tasks take things in as they happen: %s',
    async (name) => {
      let results = 0;
      const property = fc.asyncProperty(happenings, fc.nat(), async (all, seed) => {
        const chain = await Chain.open(jobNamed(name));
        const choose = chooser(seed);
        for (const what of all) await chain.happen(what, choose);
        const expected = await embedded(jobNamed(name), all);
        for (const topic of ['out', 'job-late']) {
          const [have, want] = [chain.texts(topic), expected.get(topic) ?? []].map((values) =>
            values.map(plain).toSorted(),
          );
          expect([topic, have]).toEqual([topic, want]);
          results += want?.length ?? 0;
        }
        expect(chain.texts('bad')).toEqual([]);
      });
      await fc.assert(property, { numRuns: 25 });
      expect(results).toBeGreaterThan(20);
    },
  );
});
