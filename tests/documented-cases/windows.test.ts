import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { judgeOutputMode, type OutputMode, type ResultKind } from '../../operators/window/output-modes.ts';
import type { WindowDefinition } from '../../operators/window/window-definition.ts';
import { WindowLogic } from '../../operators/window/window-logic.ts';

/**
 * Examples of windows and watermarks in the documentation of Spark, Flink and Kafka Streams, with the figures that stand there. Where Sluice decides otherwise, the
 * test says so.
 */

const minuteMs = 60_000;
const schema = new Schema([
  { name: 'word', type: 'string', presence: 'required' },
  { name: 'price', type: 'double', presence: 'optional' },
]);

/** A record as the pages write them: `12:14 dog`. Minutes of a day; `12:14:30` has seconds. */
type Event = readonly [time: string, word: string, price?: number];

function timeOf(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = text.split(':').map(Number);
  return (hours * 60 + minutes) * minuteMs + seconds * 1_000;
}

function textOf(timeMs: number): string {
  const minutes = Math.floor(timeMs / minuteMs);
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

const definition: WindowDefinition = {
  operatorId: 'documented',
  key: ['word'],
  window: { kind: 'hopping', sizeMs: 10 * minuteMs, everyMs: 5 * minuteMs, startMs: 0 },
  where: null,
  aggregates: [
    { name: 'count', spec: { function: 'count' }, input: null, where: null },
    { name: 'total', spec: { function: 'sum' }, input: 'price', where: null },
  ],
  outputMode: 'append',
  allowedLatenessMs: 0,
  lateness: 'wait',
  delayMs: 10 * minuteMs,
  closedBy: 'query',
};

/** Runs events through a window operator, one after another, and keeps what comes out of each, and which were late. */
class Run {
  readonly late: string[] = [];
  readonly #logic: WindowLogic;
  readonly #watermarks = new PartitionWatermarks();
  readonly #definition: WindowDefinition;
  #offset = 0;

  constructor(change: Partial<WindowDefinition>) {
    this.#definition = { ...definition, ...change };
    this.#logic = new WindowLogic(this.#definition, schema, { state: 'empty' });
  }

  /** Results as `12:00-12:10 dog 3`. */
  add(...events: readonly Event[]): string[] {
    const { records, late } = this.#logic.emit(this.#batchOf(events));
    this.late.push(...toRows(late).map(({ word }) => String(word)));
    return toRows(records).map((row) => {
      const [start, end] = [Number(row['window_start']), Number(row['window_end'])];
      return `${textOf(start)}-${textOf(end)} ${String(row['word'])} ${String(row['count'])}`;
    });
  }

  #batchOf(events: readonly Event[]): RecordBatch {
    const columns = [utf8ColumnOf(events.map(([, word]) => word)), numberColumnOf(events.map(([, , price]) => price))];
    const eventTimesMs = Float64Array.from(events, ([time]) => timeOf(time));
    const batch = recordBatch(schema, columns, { partition: 0, offset: this.#offset, eventTimesMs });
    this.#offset += events.length;
    const { delayMs } = this.#definition;
    stampWatermarks(batch, null, this.#watermarks, { delayMs, maxFutureSkewMs: 0 });
    return batch;
  }
}

describe('Spark, Structured Streaming Programming Guide, "Window Operations on Event Time"', () => {
  it('counts a word of 12:07 in the windows 12:00-12:10 and 12:05-12:15', () => {
    const run = new Run({ outputMode: 'update' });
    expect(run.add(['12:07', 'owl'])).toEqual(['12:00-12:10 owl 1', '12:05-12:15 owl 1']);
  });

  it('has the counts of the first figure: cat and dog until 12:05, owl and cat at 12:07, dog and owl until 12:15', () => {
    const run = new Run({ outputMode: 'update', delayMs: 60 * minuteMs });
    const first = run.add(['12:02', 'cat'], ['12:02', 'dog'], ['12:03', 'dog'], ['12:03', 'dog']);
    expect(first.filter((row) => row.startsWith('12:00-12:10'))).toEqual([
      '12:00-12:10 cat 1',
      '12:00-12:10 dog 1',
      '12:00-12:10 dog 2',
      '12:00-12:10 dog 3',
    ]);
    expect(run.add(['12:07', 'owl'], ['12:07', 'cat'])).toEqual([
      '12:00-12:10 owl 1',
      '12:05-12:15 owl 1',
      '12:00-12:10 cat 2',
      '12:05-12:15 cat 1',
    ]);
    expect(run.add(['12:11', 'dog'], ['12:13', 'owl'])).toEqual([
      '12:05-12:15 dog 1',
      '12:10-12:20 dog 1',
      '12:05-12:15 owl 2',
      '12:10-12:20 owl 1',
    ]);
  });

  it('counts late data of 12:04 in its old window', () => {
    const run = new Run({ outputMode: 'update' });
    run.add(['12:02', 'dog'], ['12:03', 'dog'], ['12:03', 'dog'], ['12:11', 'dog']);
    expect(run.add(['12:04', 'dog'])).toContain('12:00-12:10 dog 4');
  });
});

describe('Spark, Structured Streaming Programming Guide, "Handling Late Data and Watermarking"', () => {
  it('keeps, with a watermark of 12:04 after (12:14, dog), both windows of (12:09, cat)', () => {
    const run = new Run({ outputMode: 'update' });
    run.add(['12:07', 'dog'], ['12:14', 'dog']);
    expect(run.add(['12:09', 'cat'])).toEqual(['12:00-12:10 cat 1', '12:05-12:15 cat 1']);
  });

  it('ignores (12:04, donkey) once the watermark is 12:11, after (12:21, owl)', () => {
    const run = new Run({ outputMode: 'update' });
    run.add(['12:14', 'dog'], ['12:09', 'cat'], ['12:21', 'owl']);
    expect(run.add(['12:04', 'donkey'])).toEqual([]);
    expect(run.late).toEqual(['donkey']);
  });

  it('appends the counts of 12:00-12:10 only after the watermark is 12:11', () => {
    const run = new Run({ outputMode: 'append' });
    const before = run.add(
      ['12:07', 'dog'],
      ['12:08', 'owl'],
      ['12:14', 'dog'],
      ['12:09', 'cat'],
      ['12:15', 'cat'],
      ['12:08', 'dog'],
      ['12:13', 'owl'],
    );
    expect(before).toEqual([]);
    expect(run.add(['12:21', 'owl'])).toEqual(['12:00-12:10 cat 1', '12:00-12:10 dog 2', '12:00-12:10 owl 1']);
    expect(run.add(['12:17', 'owl'], ['12:04', 'donkey'])).toEqual([]);
    expect(run.late).toEqual(['donkey']);
  });
});

describe('Spark, Structured Streaming Programming Guide, "Output Modes" and "Types of time windows"', () => {
  const allowed = (kind: ResultKind): readonly OutputMode[] =>
    (['append', 'update', 'complete'] as const).filter((mode) => judgeOutputMode(kind, mode) === 'ok');

  it('lets aggregations on event time with a watermark use every mode', () => {
    expect(allowed('timeWindows')).toEqual(['append', 'update', 'complete']);
  });

  it('lets queries without aggregation use append and update, since complete would keep all their data', () => {
    expect(allowed('records')).toEqual(['append', 'update']);
  });

  it('does not let session windows use update', () => {
    expect(allowed('sessionWindows')).toEqual(['append', 'complete']);
  });
});

describe('Flink, DataStream API, "Windows"', () => {
  const tumbling = (sizeMs: number, startMs: number): Partial<WindowDefinition> => ({
    window: { kind: 'tumbling', sizeMs, startMs },
    delayMs: 0,
  });

  it('removes a window of 12:00 to 12:05 with an allowed lateness of 1 min when the watermark passes 12:06', () => {
    const run = new Run({ ...tumbling(5 * minuteMs, 0), allowedLatenessMs: minuteMs, lateness: 'fire' });
    expect(run.add(['12:01', 'a'])).toEqual([]);
    expect(run.add(['12:05', 'b'])).toEqual(['12:00-12:05 a 1']);
    expect(run.add(['12:02', 'a'])).toEqual(['12:00-12:05 a 2']);
    expect(run.add(['12:05:59', 'b'], ['12:03', 'a'])).toEqual(['12:00-12:05 a 3']);
    expect(run.add(['12:06', 'b'], ['12:04', 'a'])).toEqual([]);
    expect(run.late).toEqual(['a']);
  });

  it('aligns hourly windows with an offset of 15 minutes to 1:15', () => {
    const run = new Run(tumbling(60 * minuteMs, 15 * minuteMs));
    expect(run.add(['02:14', 'a'], ['02:15', 'b'], ['03:15', 'c'])).toEqual(['01:15-02:15 a 1', '02:15-03:15 b 1']);
  });

  it('aligns hourly windows that slide by 30 minutes with an offset of 15 minutes to 1:15 and 1:45', () => {
    const window = { kind: 'hopping', sizeMs: 60 * minuteMs, everyMs: 30 * minuteMs, startMs: 15 * minuteMs } as const;
    const run = new Run({ window, delayMs: 0, outputMode: 'update' });
    expect(run.add(['02:00', 'a'])).toEqual(['01:15-02:15 a 1', '01:45-02:45 a 1']);
  });

  it('puts an event into every window of 10 minutes that slides by 5', () => {
    const run = new Run({ outputMode: 'update' });
    expect(run.add(['00:12', 'a'])).toEqual(['00:05-00:15 a 1', '00:10-00:20 a 1']);
  });
});

describe('Kafka Streams, DSL API, "Windowing"', () => {
  const boundariesOf = (window: WindowDefinition['window'], seconds: readonly number[]): number[][] => {
    const run = new WindowLogic({ ...definition, window, outputMode: 'update' }, schema, { state: 'empty' });
    const times = Float64Array.from(seconds, (second) => second * 1_000);
    const columns = [utf8ColumnOf(seconds.map(() => 'k')), numberColumnOf(seconds)];
    const rows = toRows(run.apply(recordBatch(schema, columns, { partition: 0, offset: 0, eventTimesMs: times })));
    const bounds = rows.map((row) => [Number(row['window_start']), Number(row['window_end'])]);
    return [...new Map(bounds.map((bound) => [bound.join(), bound])).values()];
  };

  it('has tumbling windows of 5000 ms at [0;5000), [5000;10000), …', () => {
    const bounds = boundariesOf({ kind: 'tumbling', sizeMs: 5_000, startMs: 0 }, [0, 4.999, 5, 9]);
    expect(bounds).toEqual([
      [0, 5_000],
      [5_000, 10_000],
    ]);
  });

  it('has hopping windows of 5000 ms every 3000 ms at [0;5000), [3000;8000), …', () => {
    // Kafka Streams' first window begins at 0; Sluice, like Flink, has those that begin before the epoch too.
    const bounds = boundariesOf({ kind: 'hopping', sizeMs: 5_000, everyMs: 3_000, startMs: 0 }, [2.5, 4]);
    expect(bounds).toEqual([
      [0, 5_000],
      [3_000, 8_000],
    ]);
  });

  it('detects, with an inactivity gap of 5 minutes, three sessions of three records, and merges and extends them for three more', () => {
    const window = { kind: 'session', gapMs: 5 * minuteMs } as const;
    const green = ['green 0-0 1', 'green 6-6 1', 'blue 2-2 1'];
    expect(
      sessions(window, [
        ['00:00', 'green'],
        ['00:06', 'green'],
        ['00:02', 'blue'],
      ]),
    ).toEqual(green.toSorted());
    const six: Event[] = [
      ['00:00', 'green'],
      ['00:06', 'green'],
      ['00:02', 'blue'],
      ['00:04', 'green'],
      ['00:05', 'blue'],
      ['00:11', 'blue'],
    ];
    expect(sessions(window, six)).toEqual(['blue 11-11 1', 'blue 2-5 2', 'green 0-6 3']);
  });

  /** All sessions of some events, from the first record to the last, which is how Kafka Streams writes them; ours end the gap later. */
  function sessions(
    window: WindowDefinition['window'] & { readonly kind: 'session' },
    events: readonly Event[],
  ): string[] {
    const run = new Run({ window, delayMs: 30 * minuteMs });
    run.add(...events);
    return run
      .add(['23:00', 'end'])
      .map((row) => {
        const [bounds = '', word = '', count = ''] = row.split(' ');
        const [start = '', end = ''] = bounds.split('-');
        const last = (timeOf(end) - window.gapMs) / minuteMs;
        return `${word} ${timeOf(start) / minuteMs}-${last} ${count}`;
      })
      .toSorted();
  }

  it('gives with a grace period one final result for each window, when the window closes', () => {
    // "Window Final Results": suppress(untilWindowCloses) over windows of an hour with a grace of ten minutes.
    const window = { kind: 'tumbling', sizeMs: 60 * minuteMs, startMs: 0 } as const;
    const run = new Run({ window, delayMs: 0, allowedLatenessMs: 10 * minuteMs });
    expect(run.add(['00:30', 'user'], ['01:05', 'user'], ['00:59', 'user'])).toEqual([]);
    expect(run.add(['01:10', 'user'])).toEqual(['00:00-01:00 user 2']);
    run.add(['00:58', 'user']);
    expect(run.late).toEqual(['user']);
  });
});
