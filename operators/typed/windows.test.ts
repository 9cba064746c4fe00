import { describe, expect, expectTypeOf, it } from 'vitest';
import { temporaryDirectory } from '../../engine/storage/testing/temporary-directory.ts';
import {
  approxDistinct,
  argMax,
  argMin,
  collect,
  collectList,
  count,
  countWindows,
  decayedSum,
  distinct,
  first,
  histogram,
  hopping,
  keyAll,
  keyBy,
  last,
  LocalLog,
  max,
  min,
  quantile,
  rolling,
  runLocal,
  session,
  sinceLast,
  stddev,
  sum,
  top,
  topic,
  tumbling,
  variance,
  withWatermark,
} from './index.ts';

const readings = topic(
  'readings',
  { sensor: 'string', at: 'timestamp', c: 'double', door: 'string?' },
  { key: 'sensor' },
);
const timed = readings.pipe(withWatermark('at', '0s'), keyBy('sensor'));
const second = 1_000;
const reading = (t: number, c: number, door: string | null = null): object => ({
  sensor: 's',
  at: t * second,
  c,
  door,
});
const rows = [reading(0, 1), reading(2, 4, 'x'), reading(4, 4), reading(13, 7), reading(40, 0)];

describe('windows in TypeScript', () => {
  it.each([
    [
      'tumbling',
      timed.pipe(tumbling('10s', { n: count() })),
      [
        [0, 10, 3],
        [10, 20, 1],
      ],
    ],
    [
      'hopping',
      timed.pipe(hopping({ size: '10s', every: '5s' }, { n: count() })),
      [
        [-5, 5, 3],
        [0, 10, 3],
        [5, 15, 1],
        [10, 20, 1],
      ],
    ],
    [
      'session',
      timed.pipe(session('5s', { n: count() })),
      [
        [0, 9, 3],
        [13, 18, 1],
      ],
    ],
    [
      'count',
      timed.pipe(countWindows(2, { n: count() })),
      [
        [0, 2.001, 2],
        [4, 13.001, 2],
      ],
    ],
  ])('%s windows give what job files give', async (_name, stream, wanted) => {
    const found = await collect(stream, rows);
    expect(found.map((r) => [r.window_start / second, r.window_end / second, r.n])).toEqual(wanted);
  });

  it('have every aggregate, with the type that it gives', async () => {
    const all = timed.pipe(
      tumbling('10s', {
        least: min('c'),
        most: max('c'),
        spread: variance('c'),
        deviation: stddev('c'),
        median: quantile('c', 0.5),
        values: distinct('c'),
        about: approxDistinct('c'),
        opened: first('door'),
        latest: last('c'),
        list: collectList('c', 2),
        bins: histogram('c', [2, 4]),
      }),
    );
    const [row] = await collect(all, rows);
    expectTypeOf(row?.opened).toEqualTypeOf<string | null | undefined>();
    expectTypeOf(row?.list).toEqualTypeOf<string | null | undefined>();
    expectTypeOf(row?.bins).toEqualTypeOf<string | null | undefined>();
    expect(row).toMatchObject({
      bins: '{"boundaries":[2,4],"counts":[1,0,2]}',
      least: 1,
      most: 4,
      spread: 3,
      values: 2,
      about: 2,
      opened: 'x',
      latest: 4,
      list: '[1,4]',
    });
    expect(row?.deviation).toBeCloseTo(Math.sqrt(3), 12);
    expect(row?.median).toBeGreaterThan(3.95);
  });

  it('wait for late records as they are told to, and leave later ones out', async () => {
    const late = [reading(0, 1), reading(14, 1), reading(3, 1), reading(40, 1)];
    const strict = timed.pipe(tumbling('10s', { n: count() }));
    const patient = timed.pipe(tumbling('10s', { n: count() }, { allowedLateness: '10s' }));
    expect((await collect(strict, late)).map(({ n }) => n)).toEqual([1, 1]);
    expect((await collect(patient, late)).map(({ n }) => n)).toEqual([2, 1]);
  });
});

describe('rolling features in TypeScript', () => {
  it('know the time since the last record, and sums that fade', async () => {
    const stream = timed.pipe(
      rolling({
        since: sinceLast('1d'),
        faded: decayedSum('c', '2s', '1d'),
        before: sum('c').over('3s', { delay: '1s' }),
      }),
    );
    const found = await collect(stream, rows.slice(0, 3));
    expect(found).toMatchObject([
      { since: null, faded: null, before: null },
      { since: 2, faded: 0.5, before: 1 },
      { since: 2, faded: 2.25, before: 4 },
    ]);
  });
});

describe('a job on the embedded log', () => {
  it('knows the record in which a field is greatest, and the first records by it, of all records together', async () => {
    const bids = topic(
      'bids',
      { auction: 'long', at: 'timestamp', bidder: 'string', price: 'double', proxy: 'boolean' },
      { key: 'auction' },
    );
    const best = bids.pipe(
      withWatermark('at', '0s'),
      keyAll(),
      tumbling('10s', {
        winner: argMax('bidder', { by: 'price' }),
        least: argMin('auction', { by: 'price', where: 'proxy' }),
        podium: top(['bidder', 'proxy'], { by: 'price', n: 2 }),
      }),
    );
    expectTypeOf(collect(best, [])).resolves.toEqualTypeOf<
      readonly {
        readonly window_start: number;
        readonly window_end: number;
        readonly winner: string | null;
        readonly least: number | null;
        readonly podium: string | null;
      }[]
    >();
    const wrong = { x: argMax('price', { by: 'bidde' }) };
    // @ts-expect-error there is no such field
    expect(() => bids.pipe(withWatermark('at', '0s'), keyAll(), tumbling('1s', wrong))).toThrow(/bidde/);
    expect(() => bids.pipe(withWatermark('at', '0s'), keyAll(), rolling({ n: count().over('1h') }))).toThrow(/keyBy/);
    const bid = (auction: number, seconds: number, bidder: string, price: number, proxy = false) => ({
      auction,
      at: seconds * 1_000,
      bidder,
      price,
      proxy,
    });
    const bidsMade = [
      bid(1, 0, 'ann', 5),
      bid(2, 1, 'bob', 9, true),
      bid(3, 2, 'cid', 9),
      bid(2, 3, 'dan', 7, true),
      bid(1, 20, 'x', 1),
      bid(2, 20, 'x', 1),
      bid(3, 20, 'x', 1),
    ];
    expect(await collect(best, bidsMade, { partitionOf: (row) => (row as { auction: number }).auction })).toEqual([
      {
        window_start: 0,
        window_end: 10_000,
        winner: 'bob',
        least: 2,
        podium: '[{"bidder":"bob","proxy":true},{"bidder":"cid","proxy":false}]',
      },
    ]);
  });

  it('is run by a directory alone, and keeps windows open from run to run', async () => {
    using directory = temporaryDirectory();
    const stream = timed.pipe(tumbling('10s', { n: count() }));
    const dir = directory.path;
    const append = async (given: readonly object[]): Promise<void> => {
      await using log = await LocalLog.open(dir);
      await log.append(readings, given);
    };
    await append(rows.slice(0, 2));
    await runLocal(stream, { dir, job: 'minutes', to: 'minutes' });
    await append(rows.slice(2));
    const { ledger, outputs } = await runLocal(stream, { dir, job: 'minutes', to: 'minutes' });
    expect([ledger.scored, outputs]).toEqual([3, 2]);
    await using log = await LocalLog.open(dir);
    expect((await log.read('minutes')).map(({ n }) => n)).toEqual([3, 1]);
    await expect(log.read('nothing')).rejects.toThrow(/nothing/);
  });
});
