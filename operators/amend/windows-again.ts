import type { WindowRows } from '../rolling/windows.ts';
import { firstAfter } from '../rolling/windows.ts';
import type { KeptColumn, RolledAgain } from './amend-layout.ts';
import type { KeptRecord } from './kept-record.ts';
import type { OrderedRecords } from './ordered-records.ts';

/** Takes the answers to one record's windows: for each output of the step, a number, NaN for null; or a text, `null` for none. */
export type TakeAnswers = (record: KeptRecord, answers: readonly (number | string | null)[]) => void;

/**
 * Answers the windows of records that were answered before, over all records of their key that are kept, in order of event time: what a live operator would have said if they
 * had come in that order. With its very aggregates over the same rows in the same order, so that what has not changed has the same bits.
 */
export class WindowsAgain {
  readonly #step: RolledAgain;
  readonly #columns: readonly KeptColumn[];
  readonly #results: Float64Array;
  readonly #walks: readonly (readonly WindowRows[])[];
  readonly #lows: readonly Int32Array[];
  readonly #answers: (number | string | null)[];

  constructor(step: RolledAgain, columns: readonly KeptColumn[]) {
    const { readings } = step.layout;
    this.#step = step;
    this.#columns = columns;
    this.#results = new Float64Array(Math.max(1, ...readings.map(({ lengthsMs }) => lengthsMs.length)));
    this.#lows = readings.map(({ lengthsMs }) => new Int32Array(lengthsMs.length));
    this.#walks = readings.map(({ walks }) =>
      walks.map(({ windows }): WindowRows => {
        return {
          chunk: new Float64Array(0),
          high: 0,
          lows: new Int32Array(windows.length),
          endMs: 0,
          eventTimeMs: 0,
        };
      }),
    );
    this.#answers = step.outputs.map(() => null);
  }

  /** Answers the records at the places `[from, to)`. */
  answer(records: OrderedRecords, from: number, to: number, take: TakeAnswers): void {
    const first = records.at(from);
    if (first === undefined || from >= to) return;
    const { layout, stored } = this.#step;
    const low = records.firstAfter(first.eventTimeMs - layout.reachMs);
    const stride = to - low;
    const chunk = new Float64Array(stride * (1 + stored.length));
    const texts: string[] = [];
    const codes = new Map<string | number, number>();
    for (let row = 0; row < stride; row++) {
      const record = records.at(low + row);
      if (record === undefined) continue;
      chunk[row] = record.eventTimeMs;
      for (let column = 0; column < stored.length; column++) {
        chunk[row + (1 + column) * stride] = this.#storedValue(record, column, codes, texts);
      }
    }
    for (let place = from; place < to; place++) {
      const record = records.at(place);
      if (record === undefined) continue;
      this.#read(chunk, place - low, stride, record.eventTimeMs, texts);
      take(record, this.#answers);
    }
  }

  /** What the step stores of a record: NaN where the input is null or the condition does not hold; a number for each different text. */
  #storedValue(record: KeptRecord, column: number, codes: Map<string | number, number>, texts: string[]): number {
    const { input = -1, where = -1, form = 'number' } = this.#step.stored[column] ?? {};
    if (where >= 0 && this.#numberOf(record, where) !== 1) return NaN;
    if (input < 0) return 1;
    const isText = this.#columns[input]?.form === 'text';
    if (form === 'number') return isText ? NaN : this.#numberOf(record, input);
    const value = isText
      ? (record.values.texts[this.#columns[input]?.slot ?? -1] ?? null)
      : this.#numberOf(record, input);
    if (value === null || value !== value) return NaN;
    let code = codes.get(value);
    if (code === undefined) {
      code = texts.push(String(value)) - 1;
      codes.set(value, code);
    }
    return code;
  }

  #numberOf({ values }: KeptRecord, column: number): number {
    return values.numbers[this.#columns[column]?.slot ?? -1] ?? NaN;
  }

  /** Fills the answers to the record whose row stands at `own`. */
  #read(chunk: Float64Array, own: number, stride: number, eventTimeMs: number, texts: readonly string[]): void {
    const results = this.#results;
    this.#step.layout.readings.forEach(({ delayMs, current, lengthsMs, walks }, reading) => {
      const lows = this.#lows[reading] ?? new Int32Array(0);
      const endMs = eventTimeMs - delayMs;
      const high = delayMs > 0 ? firstAfter(chunk, 0, own, endMs) : current === 'include' ? own + 1 : own;
      let low = high;
      for (let w = 0; w < lows.length; w++) {
        low = firstAfter(chunk, 0, low, endMs - (lengthsMs[w] ?? 0));
        lows[w] = low;
      }
      walks.forEach(({ aggregator, column, windows, outputs }, walk) => {
        const rows = this.#walks[reading]?.[walk];
        if (rows === undefined) return;
        rows.chunk = chunk;
        rows.high = high;
        rows.endMs = endMs;
        rows.eventTimeMs = eventTimeMs;
        for (let w = 0; w < windows.length; w++) rows.lows[w] = lows[windows[w] ?? 0] ?? 0;
        aggregator(rows, (1 + column) * stride, results);
        for (let w = 0; w < outputs.length; w++) this.#take(outputs[w] ?? 0, results[w] ?? NaN, texts);
      });
    });
  }

  #take(output: number, result: number, texts: readonly string[]): void {
    const form = this.#step.layout.outputs[output]?.form ?? 'number';
    // What has left the finite numbers is null, as live answers are.
    if (form === 'number') this.#answers[output] = Number.isFinite(result) ? result : NaN;
    else this.#answers[output] = result === result ? (texts[result] ?? null) : null;
  }
}
