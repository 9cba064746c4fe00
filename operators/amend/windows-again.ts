import { RowReadings } from '../rolling/row-readings.ts';
import type { KeptColumn, RolledAgain } from './amend-layout.ts';
import type { KeptRecord } from './kept-record.ts';
import type { OrderedRecords } from './ordered-records.ts';

/** Takes the answers to one record's windows: for each output of the step, a number, NaN for null; or a text, `null` for none. */
export type TakeAnswers = (record: KeptRecord, answers: readonly (number | string | null)[]) => void;

/**
 * Answers the windows of records that were answered before, over all records of their key that are kept, in order of event time: what a live operator would have said if they
 * had come in that order. With its very readings over the same rows in the same order, so that what has not changed has the same bits.
 */
export class WindowsAgain {
  readonly #step: RolledAgain;
  readonly #columns: readonly KeptColumn[];
  readonly #readings: RowReadings;
  /** Of each output, for one record. */
  readonly #results: readonly Float64Array[];

  constructor(step: RolledAgain, columns: readonly KeptColumn[]) {
    this.#step = step;
    this.#columns = columns;
    this.#readings = new RowReadings(step.layout.readings);
    this.#results = step.outputs.map(() => new Float64Array(1));
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
    const answers = this.#results.map((): number | string | null => null);
    for (let place = from; place < to; place++) {
      const record = records.at(place);
      if (record === undefined) continue;
      this.#readings.read(chunk, 0, place - low, stride, record.eventTimeMs, -Infinity, 0, this.#results);
      layout.outputs.forEach(({ form }, output) => {
        const result = this.#results[output]?.[0] ?? NaN;
        // What has left the finite numbers is null, as live answers are.
        answers[output] = form === 'code' ? (texts[result] ?? null) : Number.isFinite(result) ? result : NaN;
      });
      take(record, answers);
    }
  }

  /** What the step stores of a record: NaN where the input is null or the condition does not hold; a number for each different text. */
  #storedValue(record: KeptRecord, column: number, codes: Map<string | number, number>, texts: string[]): number {
    const { input = -1, where = -1, form = 'number' } = this.#step.stored[column] ?? {};
    if (where >= 0 && this.#numberOf(record, where) !== 1) return NaN;
    if (input < 0) return 1;
    const kept = this.#columns[input];
    const isText = kept?.form === 'text';
    if (form === 'number') return isText ? NaN : this.#numberOf(record, input);
    const value = isText ? (record.values.texts[kept.slot] ?? null) : this.#numberOf(record, input);
    if (value === null || Number.isNaN(value)) return NaN;
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
}
