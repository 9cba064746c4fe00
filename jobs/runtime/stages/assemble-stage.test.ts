import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageValue } from '../../../engine/record/message-batch.ts';
import { Schema } from '../../../engine/record/schema.ts';
import { PlanDocument } from '../../../engine/plan/plan-document.ts';
import { encodeDeadLetters } from '../../../engine/serde/dead-letter-encoder.ts';
import { JsonDecoder } from '../../../engine/serde/json-decoder.ts';
import { JsonEncoder } from '../../../engine/serde/json-encoder.ts';
import { keyPartitioner } from '../../../engine/serde/partitioner.ts';
import { messageBatchOf } from '../../../engine/storage/message-batch-builder.ts';
import { compileFeatures } from '../../../features/compile-features.ts';
import type { FeaturePlan } from '../../../features/feature-plan.ts';
import { randomDeclarations } from '../../../features/testing/random-declarations.ts';
import { randomStream, streamSchema, type StreamRow } from '../../../features/testing/random-stream.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { MemoryLog, noCommitLog, noSource, TaskUnderTest } from '../../testing/stage-chain.ts';
import { assembleQuery } from '../assemble-query.ts';
import { assembleStage } from './assemble-stage.ts';
import { featureFields } from '../prediction-fields.ts';
import { planStages } from './stages.ts';

const schema = new Schema(
  streamSchema.fields.map((field) => (field.name === 'card' ? { ...field, presence: 'required' } : field)),
);

function planOf(texts: readonly string[]): FeaturePlan {
  const { plan, diagnostics } = compileFeatures(
    texts.map((text, index) => new PlanDocument(`f${index}.yaml`, text)),
    { schema, eventTimeField: 'event_time', allowedLatenessMs: 5_000 },
  );
  if (plan === null) throw new Error(JSON.stringify(diagnostics));
  return plan;
}

function jobOf(texts: readonly string[]): CheckedJob {
  return {
    file: 'job.yaml',
    name: 'job',
    app: 'app',
    source: {
      kind: 'topic',
      topic: 'in',
      format: 'json',
      avro: null,
      rules: null,
      key: 'card',
      eventTime: { field: 'event_time', delayMs: 2_000, idleTimeoutMs: 1_000, maxFutureSkewMs: 60_000 },
      duplicates: null,
    },
    schema,
    features: planOf(texts),
    windows: null,
    amendments: null,
    records: null,
    sessions: null,
    pattern: null,
    outputMode: 'append',
    trigger: { kind: 'realtime', everyMs: 0, maxOffsetsPerTrigger: null },
    score: null,
    sinks: [{ kind: 'topic', topic: 'out', format: 'json', partitions: null }],
    deadLetters: { policy: 'dead-letter', topic: 'bad', format: 'json' },
    late: { allowedLatenessMs: 5_000, policy: 'answer', topic: null },
    state: { flushEveryMs: 0, online: null },
    exchange: { partitions: null },
    guarantee: 'exactly-once',
    digest: 'd',
  };
}

/** The job's parts over a log in memory. */
function partsOf(job: CheckedJob, partitions: number): Parameters<typeof assembleQuery>[1] {
  const { outputSchema, columns } = job.features;
  return {
    source: noSource,
    commitLog: noCommitLog,
    input: 'in',
    decoder: new JsonDecoder({ schema, eventTimeField: 'event_time', keyFields: ['card'] }),
    model: null,
    encoders: [
      new JsonEncoder({
        schema: outputSchema,
        fields: featureFields(outputSchema, columns),
        topic: 'out',
        key: ['card'],
        partitioner: keyPartitioner(partitions),
      }),
    ],
    encodeDeadLetters: (letters) => encodeDeadLetters('bad', letters, 1),
  };
}

function write(log: MemoryLog, rows: readonly StreamRow[], place: (row: StreamRow) => number): void {
  for (const row of rows) {
    const { partition: _, timeMs, ...fields } = row;
    const value = JSON.stringify({ event_time: timeMs, ...fields, card: row.card ?? 'none' });
    log.append(
      messageBatchOf('in', [{ partition: place(row), key: row.card ?? 'none', value, timestampMs: timeMs + 7 }]),
    );
  }
}

/** The tasks of all stages of a job, over a log that has the rows. */
class Chain {
  readonly log = new MemoryLog();
  readonly tasks: readonly TaskUnderTest[];
  readonly exchanges: readonly string[];

  constructor(
    job: CheckedJob,
    rows: readonly StreamRow[],
    partitions: { readonly input: number; readonly exchange: number },
  ) {
    this.log.createTopic('in', partitions.input);
    this.log.createTopic('out', partitions.input);
    this.log.createTopic('bad', 1);
    write(this.log, rows, ({ partition }) => partition % partitions.input);
    const stages = planStages(job);
    this.exchanges = stages.flatMap(({ output }) => (output === 'results' ? [] : [output.topic]));
    for (const topic of this.exchanges) this.log.createTopic(topic, partitions.exchange);
    this.tasks = stages.flatMap((stage, index) => {
      const topic = stage.input === 'source' ? 'in' : stage.input.topic;
      return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) => {
        const query = assembleStage(job, stage, {
          ...partsOf(job, partitions.input),
          ...(index === 0 ? {} : { decoder: null }),
          partition,
          upstreamPartitions: index <= 1 ? partitions.input : partitions.exchange,
          downstreamPartitions: partitions.exchange,
        });
        return new TaskUnderTest(query, this.log, topic, partition);
      });
    });
  }

  /** Lets tasks work in turn, as `next` says, until none has anything left. */
  async drain(
    next: (count: number) => number,
    batch: () => number,
    after: (task: TaskUnderTest) => Promise<void>,
  ): Promise<void> {
    for (;;) {
      const ready = this.tasks.filter(({ lag }) => lag > 0);
      const task = ready[next(ready.length)];
      if (task === undefined) return;
      await task.work(batch());
      await after(task);
    }
  }

  /** What each partition of a topic holds, whatever the order in which its writers took turns. */
  bytes(topic: string): readonly (readonly string[])[] {
    return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) =>
      this.log
        .of(topic, partition)
        .map(({ value }) => Buffer.from(value).toString('latin1'))
        .toSorted(),
    );
  }

  texts(topic: string): readonly (readonly string[])[] {
    return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) =>
      this.log.of(topic, partition).map(({ value }) => Buffer.from(value).toString()),
    );
  }
}

/** Choices that a property makes, in the order in which they are asked for. */
function chooser(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A task of a stage in the middle of things. */
const among = { partition: 0, upstreamPartitions: 2, downstreamPartitions: 2 };

const twoEntities = [
  'entity: card\nfeatures:\n  avg_1m: { avg: amount, over: 1m }\n  ratio: { expr: amount / avg_1m }\n',
  'entity: terminal\nfeatures:\n  n_1m: { count: true, over: 1m, current: include }\n  risk: { avg: fraud, over: 1m, delay: 20s }\n  spent: { sum: ratio, over: 3m }\n',
];

describe('the stages of a job', () => {
  it('publish what one process publishes, byte for byte, where one partition keeps the order', async () => {
    const property = fc.asyncProperty(randomDeclarations, randomStream, fc.nat(), async (texts, rows, seed) => {
      const job = jobOf(texts);
      const choose = chooser(seed);
      const whole = new MemoryLog();
      for (const topic of ['in', 'out', 'bad']) whole.createTopic(topic, 1);
      write(whole, rows, () => 0);
      const one = new TaskUnderTest(assembleQuery(job, partsOf(job, 1)), whole, 'in', 0);
      while (one.lag > 0) await one.work(1 + choose(40));

      const chain = new Chain(job, rows, { input: 1, exchange: 1 });
      await chain.drain(
        choose,
        () => 1 + choose(40),
        async () => {},
      );
      expect(chain.texts('out')[0]).toEqual(whole.of('out', 0).map(({ value }) => Buffer.from(value).toString()));
      expect(chain.texts('bad')[0]).toEqual([]);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('answer every record once, from many partitions, however they die and are cut, and as the exchanges recorded it', async () => {
    const property = fc.asyncProperty(randomDeclarations, randomStream, fc.nat(), async (texts, rows, seed) => {
      const job = jobOf(texts);
      const choose = chooser(seed);
      const counts = { input: 2, exchange: 3 };
      const chain = new Chain(job, rows, counts);
      await chain.drain(
        choose,
        () => 1 + choose(20),
        async (task) => {
          if (choose(3) === 0) task.store();
          if (choose(4) === 0) await task.die();
        },
      );
      const answers = chain.texts('out').flat();
      const positions = answers.map((text) => {
        const { source_partition: partition, source_offset: offset } = JSON.parse(text) as Record<string, number>;
        return `${partition}/${offset}`;
      });
      const sent = [0, 1].flatMap((partition) =>
        chain.log.of('in', partition).map(({ offset }) => `${partition}/${offset}`),
      );
      expect(positions.toSorted()).toEqual(sent.toSorted());

      // Each later stage over the exchange as it was written, in one go and without any death: the same bytes.
      for (const [index, topic] of chain.exchanges.entries()) {
        const again = new Chain(job, [], counts);
        for (let partition = 0; partition < counts.exchange; partition++) {
          again.log.append(messageBatchOf(topic, chain.log.of(topic, partition)));
        }
        for (const task of again.tasks.filter(({ lag }) => lag > 0)) await task.work(1_000);
        const written = chain.exchanges[index + 1] ?? 'out';
        expect(again.bytes(written)).toEqual(chain.bytes(written));
      }
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('are joined by a topic that is called after the application, the job and the entity', () => {
    expect(new Chain(jobOf(twoEntities), [], { input: 2, exchange: 2 }).exchanges).toEqual([
      'app.job.exchange.terminal',
    ]);
  });

  it('let other keys be answered while the partition of a key with most of the records stands still', async () => {
    const rows = Array.from({ length: 1_000 }, (_, i): StreamRow => {
      const terminal = i % 10 === 0 ? 2 + (i % 37) : 1;
      const common = { amount: 1, fraud: false, mcc: null, timeMs: 1_700_000_000_000 + i * 10 };
      return { ...common, partition: i % 2, card: `c${i % 50}`, terminal };
    });
    const chain = new Chain(jobOf(twoEntities), rows, { input: 2, exchange: 4 });
    const [first, second, ...behind] = chain.tasks;
    for (const task of [first, second]) await task?.work(1_000);
    const lags = behind.map(({ lag }) => lag);
    const hot = behind[lags.indexOf(Math.max(...lags))];
    expect(hot?.lag).toBeGreaterThanOrEqual(900);
    for (const task of behind) if (task !== hot) while (task.lag > 0) await task.work(10);
    expect(chain.texts('out').flat()).toHaveLength(1_000 - (hot?.lag ?? 0));
    while ((hot?.lag ?? 0) > 0) await hot?.work(100);
    expect(chain.texts('out').flat()).toHaveLength(1_000);
  });

  it('name the position in the job’s input in every dead letter, with bytes only where they are that record’s', () => {
    const job = jobOf(twoEntities);
    const [, last] = planStages(job);
    if (last === undefined) throw new Error('the job has two stages');
    const query = assembleStage(job, last, { ...partsOf(job, 2), decoder: null, ...among });
    const letter = {
      partition: 1,
      offset: 5,
      stage: 'score',
      code: 'C',
      message: 'm',
      value: Buffer.from('x'),
    } as const;
    const written = query.encodeDeadLetters([
      { ...letter, topic: 'in' },
      { ...letter, topic: 'app.job.exchange.terminal' },
    ]);
    const values = [0, 1].map((index) => JSON.parse(Buffer.from(messageValue(written, index)).toString()) as object);
    expect(values).toMatchObject([
      { topic: 'in', partition: 1, offset: 5, value: null },
      { topic: 'app.job.exchange.terminal', value: Buffer.from('x').toString('base64') },
    ]);
  });
});
