import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { inputColumn, type JoinDefinition } from '../../operators/join/join-definition.ts';
import { JoinLogic } from '../../operators/join/join-logic.ts';

/**
 * Examples of joins in the documentation of Spark, Flink and Kafka Streams, with the figures that stand there. Where Sluice decides otherwise, the test says so.
 */

const hourMs = 3_600_000;

const schema = new Schema([
  { name: inputColumn, type: 'long', presence: 'required' },
  { name: 'l', type: 'string', presence: 'optional' },
  { name: 'l_value', type: 'string', presence: 'optional' },
  { name: 'r', type: 'string', presence: 'optional' },
  { name: 'r_value', type: 'string', presence: 'optional' },
]);

const definition: JoinDefinition = {
  operatorId: 'documented',
  kind: 'inner',
  left: { input: 0, key: ['l'], columns: ['l_value'] },
  right: { input: 1, key: ['r'], columns: ['r_value'] },
  key: ['key'],
  beforeMs: 0,
  afterMs: 0,
  allowedLatenessMs: 0,
  delaysMs: [0, 0],
};

/** One record: of which input, when, with what; all of one key where none is named. */
type Event = readonly [side: 'left' | 'right', timeMs: number, value: string, key?: string];

/** Runs events through a join, one after another, and keeps what comes out at each, as `left - right`. */
class Run {
  readonly late: string[] = [];
  readonly #logic: JoinLogic;
  readonly #watermarks = new PartitionWatermarks();
  readonly #definition: JoinDefinition;
  #offset = 0;

  constructor(change: Partial<JoinDefinition>) {
    this.#definition = { ...definition, ...change };
    this.#logic = new JoinLogic(this.#definition, schema, null, { state: 'empty' });
  }

  add(...events: readonly Event[]): string[] {
    const of = (side: Event[0], valueOf: (event: Event) => string): (string | null)[] =>
      events.map((event) => (event[0] === side ? valueOf(event) : null));
    const key = ([, , , name = 'k']: Event): string => name;
    const value = ([, , text]: Event): string => text;
    const inputs = events.map(([side]) => (side === 'left' ? 0 : 1));
    const columns = [
      numberColumnOf(inputs),
      utf8ColumnOf(of('left', key)),
      utf8ColumnOf(of('left', value)),
      utf8ColumnOf(of('right', key)),
      utf8ColumnOf(of('right', value)),
    ];
    const eventTimesMs = Float64Array.from(events, ([, timeMs]) => timeMs);
    const batch = recordBatch(schema, columns, {
      partition: Int32Array.from(inputs),
      offset: this.#offset,
      eventTimesMs,
    });
    this.#offset += events.length;
    const rules = this.#definition.delaysMs.map((delayMs) => ({ delayMs, maxFutureSkewMs: 0 }));
    stampWatermarks(batch, null, this.#watermarks, { inputs: rules });
    const { records, late } = this.#logic.emit(batch);
    this.late.push(...toRows(late).map((row) => String(row['l_value'] ?? row['r_value'])));
    return toRows(records).map((row) => `${String(row['l_value'])} - ${String(row['r_value'])}`);
  }

  get kept(): number {
    return this.#logic.rowCount;
  }
}

describe('Spark’s guide, "Stream-stream Joins": impressions and the clicks on them', () => {
  // Impressions may be 2 hours late, clicks 3 hours, and a click comes within the hour after its impression.
  const ads = { delaysMs: [2 * hourMs, 3 * hourMs], afterMs: hourMs } as const;

  it('joins a click with its impression as soon as the later of the two has come, however late it is within the delays', () => {
    const run = new Run(ads);
    expect(run.add(['left', 12 * hourMs, 'ad', 'a'], ['right', 12.5 * hourMs, 'click', 'a'])).toEqual(['ad - click']);
    expect(run.add(['right', 11 * hourMs, 'early click', 'b'])).toEqual([]);
    expect(run.add(['left', 10.5 * hourMs, 'late ad', 'b'])).toEqual(['late ad - early click']);
    // The condition's bounds: 0 seconds and one hour, both of them in it.
    expect(run.add(['left', 12 * hourMs, 'ad', 'c'])).toEqual([]);
    expect(run.add(['right', 12 * hourMs, 'at once', 'c'], ['right', 13 * hourMs, 'just', 'c'])).toEqual([
      'ad - at once',
      'ad - just',
    ]);
    expect(run.add(['right', 13 * hourMs + 1, 'beyond', 'c'], ['right', 12 * hourMs - 1, 'before', 'c'])).toEqual([]);
  });

  it('gives the outer result once the watermarks of both say that no click can come: with the delay and the hour', () => {
    const run = new Run({ ...ads, kind: 'left' });
    expect(run.add(['left', 12 * hourMs, 'ad', 'a'], ['right', 12 * hourMs, 'other', 'b'])).toEqual([]);
    // The least of the watermarks is what counts, as with Spark's default policy "min".
    expect(run.add(['left', 20 * hourMs, 'ad 2', 'b'])).toEqual([]);
    expect(run.add(['right', 16 * hourMs, 'click', 'c'])).toEqual([]);
    expect(run.add(['right', 16 * hourMs + 1, 'click', 'd'])).toEqual(['ad - null']);
    // 20:00 is not over yet; of the clicks, those before 13:00 have gone.
    expect(run.kept).toBe(3);
  });

  it('needs no watermark for inner results, and lets go of what is past its time', () => {
    const run = new Run(ads);
    run.add(['left', 12 * hourMs, 'ad'], ['right', 12 * hourMs, 'click']);
    expect(run.kept).toBe(2);
    run.add(['left', 40 * hourMs, 'ad', 'x'], ['right', 40 * hourMs, 'click', 'y']);
    expect(run.kept).toBe(2);
    expect(run.add(['right', 12 * hourMs, 'too late'])).toEqual([]);
    expect(run.late).toEqual(['too late']);
  });
});

describe('Flink’s "Joining" (DataStream) and "Joins" (SQL)', () => {
  it('interval join: b.timestamp ∈ [a.timestamp + lowerBound; a.timestamp + upperBound], both bounds inclusive', () => {
    // orangeStream.intervalJoin(greenStream).between(Duration.ofMillis(-2), Duration.ofMillis(1))
    const [orange, green] = [
      [0, 2, 3, 4, 5, 7],
      [0, 1, 6, 7],
    ] as const;
    const run = new Run({ beforeMs: 2, afterMs: 1 });
    const events = [
      ...orange.map((t): Event => ['left', t, `${t}`]),
      ...green.map((t): Event => ['right', t, `${t}`]),
    ].toSorted((a, b) => a[1] - b[1]);
    expect(run.add(...events).toSorted()).toEqual(
      ['0 - 0', '0 - 1', '2 - 0', '2 - 1', '3 - 1', '5 - 6', '7 - 6', '7 - 7'].toSorted(),
    );
  });

  it('gives a joined pair the larger timestamp of the two', () => {
    const logic = new JoinLogic({ ...definition, beforeMs: 5, afterMs: 5 }, schema, null, { state: 'empty' });
    const columns = [
      numberColumnOf([0, 1]),
      utf8ColumnOf(['k', null]),
      utf8ColumnOf(['a', null]),
      utf8ColumnOf([null, 'k']),
      utf8ColumnOf([null, 'b']),
    ];
    const eventTimesMs = Float64Array.of(7, 4);
    const batch = recordBatch(schema, columns, { partition: Int32Array.of(0, 1), offset: 0, eventTimesMs });
    expect([...logic.apply(batch).eventTimesMs]).toEqual([7]);
  });

  it('interval join in SQL: orders that were shipped within four hours of the order', () => {
    // WHERE o.id = s.order_id AND o.order_time BETWEEN s.ship_time - INTERVAL '4' HOUR AND s.ship_time
    const run = new Run({ afterMs: 4 * hourMs });
    run.add(['left', 10 * hourMs, 'order 1', '1'], ['left', 10 * hourMs, 'order 2', '2']);
    expect(run.add(['right', 14 * hourMs, 'shipment 1', '1'], ['right', 14 * hourMs + 1, 'shipment 2', '2'])).toEqual([
      'order 1 - shipment 1',
    ]);
  });
});

describe('Kafka Streams’ "Join Semantics": a KStream-KStream join of one key, 15 apart at most', () => {
  // Its records with null values take no part in joins; here they are left out.
  const table: readonly (readonly [
    timeMs: number,
    left: string | null,
    right: string | null,
    inner: readonly string[],
  ])[] = [
    [3, 'A', null, []],
    [4, null, 'a', ['A - a']],
    [5, 'B', null, ['B - a']],
    [6, null, 'b', ['A - b', 'B - b']],
    [9, 'C', null, ['C - a', 'C - b']],
    [10, null, 'c', ['A - c', 'B - c', 'C - c']],
    [14, null, 'd', ['A - d', 'B - d', 'C - d']],
    [15, 'D', null, ['D - a', 'D - b', 'D - c', 'D - d']],
  ];
  const event = ([timeMs, left, right]: (typeof table)[number]): Event =>
    left === null ? ['right', timeMs, right ?? ''] : ['left', timeMs, left];

  it.each(['inner', 'left', 'full'] as const)('gives the table’s pairs at each timestamp: %s', (kind) => {
    const run = new Run({ kind, beforeMs: 15, afterMs: 15 });
    expect(table.map((row) => run.add(event(row)))).toEqual(table.map(([, , , inner]) => inner));
  });

  it('gives what had no partner when its window is over, by the watermark of both inputs', () => {
    const run = new Run({ kind: 'full', beforeMs: 15, afterMs: 15 });
    for (const row of table) run.add(event(row));
    expect(run.add(['left', 40, 'E'])).toEqual([]);
    // The page has `E - null` here, by the time of the left records alone: its stream time is the greatest of both inputs, here it is the least.
    expect(run.add(['left', 60, 'F'])).toEqual([]);
    expect(run.add(['right', 80, 'f'])).toEqual(['E - null']);
    // `F - null` in the page at 80: here once the left input, too, is past 75.
    expect(run.add(['left', 100, 'G'])).toEqual(['F - null']);
    expect(run.add(['right', 101, 'g'])).toEqual(['G - g', 'null - f']);
  });
});
