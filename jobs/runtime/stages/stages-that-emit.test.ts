import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeDeadLetters } from '../../../engine/serde/dead-letter-encoder.ts';
import { MARK } from '../../../engine/record/record-batch.ts';
import type { SchemaRegistry } from '../../../engine/serde/schema-registry.ts';
import { messageBatchOf } from '../../../engine/storage/message-batch-builder.ts';
import { ExchangeDecoder } from '../../../engine/exchange/exchange-decoder.ts';
import type { Encoder } from '../../../engine/serde/encoder.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { loadFiles } from '../../testing/job-folder.ts';
import { MemoryLog, noCommitLog, noSource, TaskUnderTest } from '../../testing/stage-chain.ts';
import { assembleStage } from './assemble-stage.ts';
import { lateRecords, openLateEncoder } from '../open-late-encoder.ts';
import { outputTopics } from '../open-outputs.ts';
import { openDecoder } from '../open-source.ts';
import { planStages } from './stages.ts';
import { openResultEncoder } from '../window-outputs.ts';

const counts = { input: 2, exchange: 3 };
const noRegistry = {} as SchemaRegistry;

const head = `job: job
app: app
source:
  topic: in
  fields: { id: string, card: string, shop: string, at: timestamp, amount: double, tags: string }
  key: card
  eventTime: { field: at, delay: 20s }
deadLetters: { topic: bad }
sinks: [{ topic: out }]
`;
const texts = {
  windows: `features: none
windows: { key: shop, tumbling: 10s, where: amount > 1, aggregates: { n: { count: true }, total: { sum: amount }, newest: { last: id } } }
`,
  sessions: `features: none
windows: { key: [shop, card], session: { gap: 5s }, aggregates: { n: { count: true } } }
`,
  table: `features: none
outputMode: complete
windows: { key: card, tumbling: 1m, aggregates: { n: { count: true } } }
`,
  together: `features: none
windows: { tumbling: 10s, aggregates: { n: { count: true }, best: { argMax: id, by: amount } } }
`,
  pattern: `features: none
pattern:
  key: shop
  first: amount < 4
  followedBy: amount > 2 * first.amount
  within: 20s
  select: { tried: first.id, taken: id }
`,
  visits: `sessions: { key: shop, gap: 10s }
features: [visit, card]
`,
  items: `flatMap: { from: tags, as: tag, separator: "," }
where: amount != 3
features: [tag]
`,
  chained: `sessions: { key: shop, gap: 10s }
features: none
windows: { key: card, tumbling: 10s, aggregates: { n: { count: true }, visits: { distinct: session_id } } }
`,
};
const features = {
  'features/visit.yaml': 'entity: [shop, session_number]\nfeatures:\n  visited: { count: true, over: 1h }\n',
  'features/card.yaml': 'entity: card\nfeatures:\n  spent: { sum: amount, over: 1m }\n',
  'features/tag.yaml': 'entity: tag\nfeatures:\n  often: { count: true, over: 1m, current: include }\n',
};

const jobs = new Map<string, CheckedJob>();

beforeAll(async () => {
  for (const [name, text] of Object.entries(texts)) {
    const outcome = await loadFiles({ ...features, 'jobs/job.yaml': head + text });
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    jobs.set(name, outcome.job);
  }
});

function jobNamed(name: keyof typeof texts): CheckedJob {
  const job = jobs.get(name);
  if (job === undefined) throw new Error(name);
  return job;
}

interface Row {
  readonly id: string;
  readonly partition: number;
  readonly card: string;
  readonly shop: string;
  readonly at: number;
  readonly amount: number;
  readonly tags: string;
}

const startMs = 1_700_000_000_000;

/** Records of each partition, none of them later than the delay: of a card, all are in one partition. */
const randomRows = fc
  .array(
    fc.record({
      card: fc.constantFrom(0, 1, 2, 3),
      shop: fc.constantFrom('s', 't', 'u', 'v'),
      stepMs: fc.constantFrom(0, 0, 500, 1_000, 4_000, 11_000),
      backMs: fc.constantFrom(0, 0, 1_000, 15_000),
      amount: fc.integer({ min: 0, max: 9 }),
      tags: fc.constantFrom('', 'a', 'a, b', 'b,c,b'),
    }),
    { minLength: 1, maxLength: 60, size: 'max' },
  )
  .map((drawn) => {
    const newest = [startMs, startMs];
    return drawn.map(({ card, shop, stepMs, backMs, amount, tags }, index): Row => {
      const partition = card % 2;
      const now = (newest[partition] ?? 0) + stepMs;
      newest[partition] = now;
      return { id: `r${index}`, partition, card: `c${card}`, shop, at: now - backMs, amount, tags };
    });
  });

function messageOf({ partition, ...fields }: Row) {
  return { partition, key: fields.card, value: JSON.stringify(fields), timestampMs: fields.at + 7 };
}

/** The tasks of all stages of a job over a log that has the rows. */
class Chain {
  readonly log = new MemoryLog();
  readonly tasks: readonly TaskUnderTest[];
  readonly exchanges: readonly string[];

  private constructor(
    job: CheckedJob,
    rows: readonly Row[],
    encoders: readonly Encoder[],
    lateEncoder: Encoder | null,
  ) {
    for (const [topic, partitions] of [
      ['in', counts.input],
      ['out', counts.input],
      ['bad', 1],
      ['job-late', 1],
    ] as const) {
      this.log.createTopic(topic, partitions);
    }
    this.log.append(messageBatchOf('in', rows.map(messageOf)));
    const stages = planStages(job);
    this.exchanges = stages.flatMap(({ output }) => (output === 'results' ? [] : [output.topic]));
    for (const { output } of stages) {
      if (output !== 'results') this.log.createTopic(output.topic, output.partitions ?? counts.exchange);
    }
    const topics = ['in', ...this.exchanges];
    this.tasks = stages.flatMap((stage, index) =>
      Array.from({ length: this.log.partitionCount(topics[index] ?? '') }, (_, partition) => {
        const query = assembleStage(job, stage, {
          source: noSource,
          commitLog: noCommitLog,
          input: 'in',
          decoder: stage.input === 'source' ? openDecoder(job, noRegistry) : null,
          model: null,
          encoders: stage.output === 'results' ? encoders : [],
          lateEncoder,
          encodeDeadLetters: (letters) => encodeDeadLetters('bad', letters, 1),
          partition,
          upstreamPartitions: this.log.partitionCount(topics[index - 1] ?? 'in'),
          downstreamPartitions: this.log.partitionCount(topics[index + 1] ?? 'out'),
        });
        return new TaskUnderTest(query, this.log, topics[index] ?? '', partition);
      }),
    );
  }

  static async open(job: CheckedJob, rows: readonly Row[]): Promise<Chain> {
    const encoders: Encoder[] = [];
    for (const output of outputTopics(job)) {
      encoders.push(await openResultEncoder(job, null, output, counts.input, noRegistry));
    }
    const late = lateRecords(job);
    return new Chain(job, rows, encoders, late === null ? null : await openLateEncoder(late, 1, noRegistry));
  }

  /** Lets tasks work in turn, in batches of any size, die and store their state, until none has anything left. */
  async drain(choose: (below: number) => number): Promise<void> {
    for (;;) {
      const ready = this.tasks.filter(({ lag }) => lag > 0);
      const task = ready[choose(ready.length)];
      if (task === undefined) return;
      await task.work(1 + choose(15));
      if (choose(3) === 0) task.store();
      if (choose(4) === 0) await task.die();
    }
  }

  texts(topic: string): readonly string[] {
    return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) =>
      this.log.of(topic, partition).map(({ value }) => Buffer.from(value).toString('latin1')),
    ).flat();
  }

  rows(topic: string): unknown {
    return this.texts(topic).map((text): unknown => JSON.parse(text));
  }
}

function chooser(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What is sent behind all rows, so that every task of every stage hears from every other that all of them are over. */
function lastRows(): readonly Row[] {
  const cards = ['c0', 'c1', 'c2', 'c3'];
  const shops = Array.from({ length: 8 }, (_, index) => `end${index}`);
  return [3_600_000, 7_200_000].flatMap((laterMs) =>
    shops.flatMap((shop) =>
      cards.map((card, index): Row => {
        const at = startMs + 10 * 3_600_000 + laterMs;
        return { id: 'end', partition: index % 2, card, shop, at, amount: 0, tags: shop };
      }),
    ),
  );
}

describe('the stages of a job with windows, a pattern, sessions or lists', () => {
  it('give the same, however their tasks die and are cut, by what the exchanges have recorded', async () => {
    let published = 0;
    const names = fc.constantFrom(...(Object.keys(texts) as (keyof typeof texts)[]));
    const property = fc.asyncProperty(names, randomRows, fc.nat(), async (name, rows, seed) => {
      const job = jobNamed(name);
      const chain = await Chain.open(job, [...rows, ...lastRows()]);
      await chain.drain(chooser(seed));
      expect(chain.texts('bad')).toEqual([]);
      for (const [index, topic] of chain.exchanges.entries()) {
        const { output } = planStages(job)[index + 1] ?? { output: 'results' };
        // Where marks stand among the records depends on how the run was cut; the stage behind is held to what is there.
        if (output !== 'results' && output.waits === 'for all') continue;
        const again = await Chain.open(job, []);
        for (let partition = 0; partition < chain.log.partitionCount(topic); partition++) {
          again.log.append(messageBatchOf(topic, chain.log.of(topic, partition)));
        }
        for (const task of again.tasks.filter(({ lag }) => lag > 0)) await task.work(1_000);
        const written = chain.exchanges[index + 1] ?? 'out';
        expect(again.texts(written).toSorted()).toEqual(chain.texts(written).toSorted());
        published += chain.texts(written).length;
      }
    });
    await fc.assert(property, { numRuns: 70 });
    expect(published).toBeGreaterThan(1_000);
  });

  it('close every window once, with all of its records, for a key that is not the topic’s', async () => {
    interface Result {
      readonly shop: string;
      readonly window_start: string;
      readonly n: number;
      readonly total: number;
      readonly newest: string;
    }
    const property = fc.asyncProperty(randomRows, fc.nat(), async (rows, seed) => {
      const chain = await Chain.open(jobNamed('windows'), [...rows, ...lastRows()]);
      await chain.drain(chooser(seed));
      const windows = new Map<string, Row[]>();
      for (const row of rows.filter(({ amount }) => amount > 1)) {
        const name = `${row.shop} ${Math.floor(row.at / 10_000) * 10_000}`;
        windows.set(name, [...(windows.get(name) ?? []), row]);
      }
      const offsets = new Map<string, number>();
      for (const partition of [0, 1]) {
        rows.filter((row) => row.partition === partition).forEach(({ id }, offset) => offsets.set(id, offset));
      }
      const expected = [...windows].map(([name, all]) => {
        const [shop = '', start = ''] = name.split(' ');
        const newest = all.toSorted(
          (a, b) => a.at - b.at || a.partition - b.partition || (offsets.get(a.id) ?? 0) - (offsets.get(b.id) ?? 0),
        );
        const total = all.reduce((sum, { amount }) => sum + amount, 0);
        return { shop, window_start: Number(start), n: all.length, total, newest: newest.at(-1)?.id };
      });
      const byName = (a: { shop: string; window_start: unknown }, b: typeof a): number =>
        `${a.shop}${String(a.window_start)}` < `${b.shop}${String(b.window_start)}` ? -1 : 1;
      const results = (chain.rows('out') as readonly Result[]).filter(({ shop }) => !shop.startsWith('end'));
      const plain = results.map(({ shop, window_start, n, total, newest }) => {
        return { shop, window_start: new Date(window_start).getTime(), n, total, newest };
      });
      expect(plain.toSorted(byName)).toEqual(expected.toSorted(byName));
      expect(chain.texts('job-late')).toEqual([]);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('find every pattern in the order that the exchange has recorded', async () => {
    const job = jobNamed('pattern');
    const [, second] = planStages(job);
    if (second === undefined) throw new Error('the job has two stages');
    const decoder = new ExchangeDecoder({ columns: second.inputSchema, eventTimeField: 'at' });
    const property = fc.asyncProperty(randomRows, fc.nat(), async (rows, seed) => {
      const chain = await Chain.open(job, rows);
      await chain.drain(chooser(seed));
      const bySource = new Map<string, Row>();
      for (const partition of [0, 1]) {
        rows.filter((row) => row.partition === partition).forEach((row, at) => bySource.set(`${partition}/${at}`, row));
      }
      const expected: string[] = [];
      for (let partition = 0; partition < counts.exchange; partition++) {
        const messages = messageBatchOf('x', chain.log.of(chain.exchanges[0] ?? '', partition));
        await decoder.prepare(messages);
        const { records } = decoder.decode(messages);
        const order = Array.from(records.offsets, (offset, row) =>
          bySource.get(`${records.partitions[row]}/${offset}`),
        );
        order.forEach((first, at) => {
          const isMark = ((records.flags[at] ?? 0) & MARK) !== 0;
          if (isMark || first === undefined || first.amount >= 4) return;
          const taken = order
            .slice(at + 1)
            .find(
              (next, behind) =>
                ((records.flags[at + 1 + behind] ?? 0) & MARK) === 0 &&
                next?.shop === first.shop &&
                next.at >= first.at &&
                next.at - first.at < 20_000 &&
                next.amount > 2 * first.amount,
            );
          if (taken !== undefined) expected.push(`${first.id} ${taken.id}`);
        });
      }
      const found = (chain.rows('out') as readonly { tried: string; taken: string }[]).map(
        ({ tried, taken }) => `${tried} ${taken}`,
      );
      expect(found.toSorted()).toEqual(expected.toSorted());
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('are as many as their keys are different, and a table of all windows has one partition', () => {
    const shape = (name: keyof typeof texts): unknown =>
      planStages(jobNamed(name)).map(({ key, output }) => [
        key.join('+'),
        output === 'results' ? 'results' : `${output.topic}/${output.partitions ?? 'input'}`,
      ]);
    expect(shape('windows')).toEqual([
      ['card', 'app.job.exchange.shop/input'],
      ['shop', 'results'],
    ]);
    expect(shape('sessions')).toEqual([['card', 'results']]);
    expect(shape('table')).toEqual([
      ['card', 'app.job.exchange.card/1'],
      ['card', 'results'],
    ]);
    expect(shape('visits')).toEqual([
      ['card', 'app.job.exchange.shop/input'],
      ['shop', 'app.job.exchange.card/input'],
      ['card', 'results'],
    ]);
    expect(shape('items')).toEqual([
      ['card', 'app.job.exchange.tag/input'],
      ['tag', 'results'],
    ]);
  });
});
