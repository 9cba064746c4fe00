import { isBefore, numberOf, type Aggregator, type ValueTime } from './aggregator.ts';
import type { AggregateValue } from './state-bytes.ts';

/** Which records come first: those with the greatest number, or with the least. */
export type RankOrder = 'descending' | 'ascending';

/** A field of a record that is kept for its rank. */
export interface RankedField {
  readonly name: string;
  /** Booleans are kept as 0 and 1. */
  readonly isBoolean: boolean;
}

interface RankedRow {
  readonly by: number;
  readonly values: readonly (AggregateValue | null)[];
  readonly time: ValueTime;
}

/** Whether a row comes before another: by its number, then the earlier one in the total order. */
function isAhead(a: RankedRow, b: RankedRow, order: RankOrder): boolean {
  if (a.by !== b.by) return order === 'descending' ? a.by > b.by : a.by < b.by;
  return isBefore(a.time, b.time);
}

/** The first n records by a number, and what was kept of them. */
function ranked(
  n: number,
  order: RankOrder,
  missing: 'kept' | 'left out',
  finish: (rows: readonly RankedRow[]) => AggregateValue | null,
): Aggregator<RankedRow[]> {
  const insert = (rows: RankedRow[], row: RankedRow): void => {
    let at = rows.length;
    for (let other = rows[at - 1]; other !== undefined && isAhead(row, other, order); other = rows[at - 1]) at--;
    if (at >= n) return;
    rows.splice(at, 0, row);
    if (rows.length > n) rows.length = n;
  };
  return {
    traits: {
      reversal: 'irreversible',
      memory: 'bounded',
      stateSize: `${n === 1 ? '' : `for each of at most ${n} records `}32 bytes, and 10 for each field, or 6 and the text`,
      accuracy: 'exact; of equal ones the earliest record',
    },
    create: () => [],
    update: (rows, value, { eventTimeMs, partition, offset }, values = []) => {
      if (missing === 'left out' && values.includes(null)) return;
      // Where the number is not wanted, no copy is made of what is beside it.
      const last = rows.length < n ? undefined : rows.at(-1);
      const row: RankedRow = { by: numberOf(value), values, time: { eventTimeMs, partition, offset } };
      if (last === undefined || isAhead(row, last, order)) insert(rows, { ...row, values: [...values] });
    },
    merge: (into, from) => {
      for (const row of from) insert(into, row);
    },
    finish,
    encode: (rows, to) => {
      to.u32(rows.length);
      for (const { by, values, time } of rows) {
        to.f64(by);
        to.u32(values.length);
        for (const value of values) {
          to.u8(value === null ? 0 : 1);
          if (value !== null) to.value(value);
        }
        to.f64(time.eventTimeMs);
        to.i32(time.partition);
        to.f64(time.offset);
      }
    },
    decode: (from) =>
      Array.from({ length: from.u32() }, (): RankedRow => {
        const by = from.f64();
        const values = Array.from({ length: from.u32() }, () => (from.u8() === 0 ? null : from.value()));
        return { by, values, time: { eventTimeMs: from.f64(), partition: from.i32(), offset: from.f64() } };
      }),
  };
}

/** A field of the record with the greatest, or least, number: ClickHouse's `argMax` and `argMin`. Records in which either is null take no part; null for none. */
export function argExtreme(order: RankOrder): Aggregator<RankedRow[]> {
  return ranked(1, order, 'left out', (rows) => rows[0]?.values[0] ?? null);
}

/** The first n records by a number, as a JSON list of objects with these fields; null for none. Records without the number take no part; fields may be null. */
export function topRows(n: number, order: RankOrder, fields: readonly RankedField[]): Aggregator<RankedRow[]> {
  const shown = ({ name, isBoolean }: RankedField, value: AggregateValue | null): readonly [string, unknown] => {
    return [name, isBoolean && value !== null ? value === 1 : value];
  };
  return ranked(n, order, 'kept', (rows) => {
    if (rows.length === 0) return null;
    return JSON.stringify(
      rows.map(({ values }) => Object.fromEntries(fields.map((field, index) => shown(field, values[index] ?? null)))),
    );
  });
}
