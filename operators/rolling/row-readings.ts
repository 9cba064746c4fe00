import type { Reading } from './rolling-layout.ts';
import { firstAfter, type WindowRows } from './windows.ts';

/** A walk ready to run: its own view of the windows, since walks answer different ones. */
interface PreparedWalk {
  readonly run: Reading['walks'][number];
  readonly rows: WindowRows;
}

interface PreparedReading {
  readonly reading: Reading;
  readonly lows: Int32Array;
  readonly walks: readonly PreparedWalk[];
}

/** The readings of an operator over the rows of a key: finds each window's first and last row, and walks them. One for an operator, used for all records. */
export class RowReadings {
  readonly #readings: readonly PreparedReading[];
  readonly #results: Float64Array;

  constructor(readings: readonly Reading[]) {
    this.#readings = readings.map(prepare);
    this.#results = new Float64Array(Math.max(1, ...readings.map(({ lengthsMs }) => lengthsMs.length)));
  }

  /**
   * Answers every window of the record whose row stands at `own`, over rows later than `horizonMs`.
   *
   * @param chunk the rows of its key from `start` on, `stride` apart from column to column, as `RowStore` has them.
   * @param answers of each output, written at `row`.
   */
  read(
    chunk: Float64Array,
    start: number,
    own: number,
    stride: number,
    eventTimeMs: number,
    horizonMs: number,
    row: number,
    answers: readonly Float64Array[],
  ): void {
    const results = this.#results;
    for (const { reading, lows, walks } of this.#readings) {
      const { delayMs, current, lengthsMs } = reading;
      const endMs = eventTimeMs - delayMs;
      // The record's own row is the last of those with x.t ≤ t, so without a delay no search is needed.
      const high = delayMs > 0 ? firstAfter(chunk, start, own, endMs) : current === 'include' ? own + 1 : own;
      let low = high;
      for (let w = 0; w < lows.length; w++) {
        low = firstAfter(chunk, start, low, Math.max(endMs - (lengthsMs[w] ?? 0), horizonMs));
        // A late record is in its own window though the horizon has passed it.
        lows[w] = current === 'include' && low > own ? own : low;
      }
      for (const { run, rows } of walks) {
        rows.chunk = chunk;
        rows.high = high;
        rows.endMs = endMs;
        rows.eventTimeMs = eventTimeMs;
        for (let w = 0; w < run.windows.length; w++) rows.lows[w] = lows[run.windows[w] ?? 0] ?? 0;
        run.aggregator(rows, (1 + run.column) * stride, results);
        for (let w = 0; w < run.outputs.length; w++) {
          const answer = answers[run.outputs[w] ?? 0];
          if (answer !== undefined) answer[row] = results[w] ?? NaN;
        }
      }
    }
  }
}

function prepare(reading: Reading): PreparedReading {
  return {
    reading,
    lows: new Int32Array(reading.lengthsMs.length),
    walks: reading.walks.map((run) => ({
      run,
      rows: { chunk: new Float64Array(0), high: 0, lows: new Int32Array(run.windows.length), endMs: 0, eventTimeMs: 0 },
    })),
  };
}
