import { strict as assert } from 'node:assert';
import { isValid, numberColumn, utf8ColumnOf, valueAt, type Column } from '../../engine/record/column.ts';
import { recordBatch } from '../../engine/record/record-batch.ts';
import type { AmendLayout, DerivedAgain, RolledAgain } from './amend-layout.ts';
import { copyOf, type KeptRecord } from './kept-record.ts';
import type { KeptRecords, KeyRecords } from './kept-records.ts';
import { WindowsAgain } from './windows-again.ts';

/** A value as columns have it: NaN, or `null` for a text, where there is none. */
type Cell = number | string | null;

/** Places `[from, to)` among the records of a key. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/**
 * Computes features again that a record has changed by coming late, step by step as the plan computes them: windows that the record falls into, what is derived of those, windows over
 * that, of whatever keys. What no decision in watch can see is left as it was.
 */
export class ComputeAgain {
  readonly #layout: AmendLayout;
  readonly #kept: KeptRecords;
  readonly #windows: readonly (WindowsAgain | null)[];
  /** For each column, the records in which it is another than before. */
  readonly #changed: Set<KeptRecord>[];

  constructor(layout: AmendLayout, kept: KeptRecords) {
    this.#layout = layout;
    this.#kept = kept;
    this.#windows = layout.steps.map((step) =>
      step.kind === 'rolling' ? new WindowsAgain(step, layout.columns) : null,
    );
    this.#changed = layout.columns.map(() => new Set());
  }

  /**
   * Takes in what a kept record that has just come does to others.
   *
   * @param own whether its own answers may be other ones than it was given.
   * @returns the records of which a told column has changed, the record itself among them, in no particular order.
   */
  run(record: KeptRecord, own: 'as answered' | 'to be computed'): ReadonlySet<KeptRecord> {
    for (const changed of this.#changed) changed.clear();
    this.#layout.steps.forEach((step, index) => {
      if (step.kind === 'derive') for (const column of step.columns) this.#derive(column);
      else this.#roll(step, this.#windows[index] ?? null, record, own);
    });
    const affected = new Set<KeptRecord>();
    for (const column of this.#layout.told) for (const each of this.#changed[column] ?? []) affected.add(each);
    return affected;
  }

  /** Whether a record that has just come may have changed others, or be answered otherwise than live windows did. */
  needFor(record: KeptRecord): { readonly others: boolean; readonly own: boolean } {
    let others = false;
    let own = record.isDiverged;
    this.#layout.entities.forEach(({ reachMs }, entity) => {
      const key = this.#kept.ofKey(entity, record);
      // What a full key has let go is in no window of a decision in watch.
      if (key === undefined || !this.#kept.holds(entity, record)) return;
      const next = key.records.at(key.records.indexOf(record) + 1);
      others ||= next !== undefined && next.eventTimeMs < record.eventTimeMs + reachMs;
      own ||= record.eventTimeMs < key.divergedUntilMs;
    });
    return { others, own };
  }

  #derive({ column, expression, reads, schema }: DerivedAgain): void {
    const records = [...new Set(reads.flatMap((read) => [...(this.#changed[read] ?? [])]))];
    if (records.length === 0) return;
    const columns = reads.map((read) => this.#columnOf(read, records));
    const eventTimesMs = Float64Array.from(records, ({ eventTimeMs }) => eventTimeMs);
    const answers = expression.evaluate(recordBatch(schema, columns, { partition: 0, offset: 0, eventTimesMs }));
    const isText = this.#layout.columns[column]?.form === 'text';
    records.forEach((record, row) => {
      const value = isText ? valueAt(answers, row) : isValid(answers, row) ? numberAt(answers, row) : NaN;
      this.#set(record, column, value);
    });
  }

  #roll(
    step: RolledAgain,
    windows: WindowsAgain | null,
    cause: KeptRecord,
    own: 'as answered' | 'to be computed',
  ): void {
    const stretches = new Map<KeyRecords, Stretch[]>();
    const add = (record: KeptRecord, self: 'with itself' | 'behind it'): void => {
      const key = this.#kept.ofKey(step.entity, record);
      if (key === undefined || !this.#kept.holds(step.entity, record)) return;
      const place = key.records.indexOf(record);
      const from = self === 'with itself' ? place : place + 1;
      const to = Math.max(from, key.records.firstFrom(record.eventTimeMs + step.layout.reachMs));
      const known = stretches.get(key);
      if (known === undefined) stretches.set(key, [{ from, to }]);
      else known.push({ from, to });
    };
    add(cause, own === 'to be computed' ? 'with itself' : 'behind it');
    for (const column of step.reads) {
      for (const record of this.#changed[column] ?? []) add(record, step.includesOwn ? 'with itself' : 'behind it');
    }
    for (const [{ records }, found] of stretches) {
      for (const { from, to } of merged(found)) {
        // What is older is seen by no decision in watch any more. Those of one key have one watermark, or nearly so.
        let first = from;
        while (first < to && !this.#isNeeded(step, records.at(first))) first++;
        windows?.answer(records, first, to, (record, answers) => {
          step.outputs.forEach((column, output) => this.#set(record, column, answers[output] ?? NaN));
        });
      }
    }
  }

  #isNeeded({ entity, neededMs }: RolledAgain, record: KeptRecord | undefined): boolean {
    return record !== undefined && record.eventTimeMs > this.#kept.wholeBehindMs(entity, record) - neededMs;
  }

  #set(record: KeptRecord, column: number, value: Cell): void {
    const { form, slot } = this.#layout.columns[column] ?? { form: 'number', slot: -1 };
    if (form === 'text') {
      const text = typeof value === 'string' ? value : null;
      if (record.values.texts[slot] === text) return;
      this.#change(record, column);
      record.values.texts[slot] = text;
      return;
    }
    assert(typeof value === 'number', 'a column of numbers is given numbers');
    if (Object.is(record.values.numbers[slot], value)) return;
    this.#change(record, column);
    record.values.numbers[slot] = value;
  }

  /** What was told stays as it was told. */
  #change(record: KeptRecord, column: number): void {
    if (record.values === record.told) record.values = copyOf(record.told);
    this.#changed[column]?.add(record);
    this.#kept.markChanged(record);
    if (this.#layout.feedsWindows[column] === true) this.#kept.markDiverged(record);
  }

  #columnOf(column: number, records: readonly KeptRecord[]): Column {
    const { form, slot } = this.#layout.columns[column] ?? { form: 'number', slot: -1 };
    if (form === 'text') return utf8ColumnOf(records.map(({ values }) => values.texts[slot] ?? null));
    const numbers = Float64Array.from(records, ({ values }) => values.numbers[slot] ?? NaN);
    let valid: Uint8Array | null = null;
    for (let row = 0; row < numbers.length; row++) {
      if (!Number.isNaN(numbers[row])) continue;
      valid ??= new Uint8Array(numbers.length).fill(1);
      valid[row] = 0;
      numbers[row] = 0;
    }
    return numberColumn(numbers, valid);
  }
}

function numberAt(column: Column, row: number): number {
  assert(column.kind === 'number', 'a column of numbers is computed as one');
  return column.values[row] ?? NaN;
}

/** Stretches that overlap or touch, as one; in order. */
function merged(stretches: readonly Stretch[]): readonly Stretch[] {
  const all: Stretch[] = [];
  for (const stretch of stretches.toSorted((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last === undefined || stretch.from > last.to) all.push(stretch);
    else all[all.length - 1] = { from: last.from, to: Math.max(last.to, stretch.to) };
  }
  return all;
}
