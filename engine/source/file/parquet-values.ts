import type { DecodedArray } from 'hyparquet';
import { numberColumn, utf8Column, type Column } from '../../record/column.ts';
import type { FieldType } from '../../record/schema.ts';
import {
  GOT_BYTES,
  GOT_NO_INSTANT,
  GOT_NUMBER,
  GOT_UNSAFE_LONG,
  NULL,
  PRESENT,
  type FieldFinding,
} from '../../serde/field-finding.ts';
import { readInstant } from '../../serde/instant-text.ts';
import { isUtf8 } from '../../serde/utf8.ts';
import { findingOfNumber } from './number-finding.ts';

/** One field over the rows of a row group, and what is wrong with some of them. */
export interface ReadColumn {
  readonly column: Column;
  /** Rows whose value does not fit the field's type, with the reason. Null rows are not here, but in the column's validity. */
  readonly misfits: ReadonlyMap<number, FieldFinding>;
}

/** How a Parquet column's values become a field's. */
export interface ValueRule {
  readonly type: FieldType;
  /** For a decimal column, the power of ten by which it is scaled; else 1. */
  readonly decimalFactor: number;
}

const encoder = new TextEncoder();

/**
 * Turns the decoded pages of one column chunk into a field's column.
 *
 * @param chunks in row order, together `rowCount` values: numbers, bigints, booleans, bytes (of text) or strings; null or undefined for null.
 * Instants must have been made milliseconds.
 */
export function readValues(chunks: readonly DecodedArray[], rowCount: number, rule: ValueRule): ReadColumn {
  return rule.type === 'string' ? readTexts(chunks, rowCount) : readNumbers(chunks, rowCount, rule);
}

function readNumbers(chunks: readonly DecodedArray[], rowCount: number, rule: ValueRule): ReadColumn {
  const { type, decimalFactor } = rule;
  const values = new Float64Array(rowCount);
  const misfits = new Map<number, FieldFinding>();
  let valid: Uint8Array | null = null;
  let row = 0;
  for (const chunk of chunks) {
    for (let i = 0; i < chunk.length; i++, row++) {
      const raw: unknown = chunk[i];
      let finding: FieldFinding;
      let value = 0;
      if (typeof raw === 'number') {
        // The reader multiplies a decimal's digits by a power of ten, which is off by a bit; rounding finds the digits again.
        value = decimalFactor === 1 ? raw : Math.round(raw * decimalFactor) / decimalFactor;
        finding = findingOfNumber(type, value);
      } else if (typeof raw === 'bigint') {
        value = Number(raw);
        finding = type === 'long' && BigInt(value) !== raw ? GOT_UNSAFE_LONG : findingOfNumber(type, value);
      } else if (typeof raw === 'boolean') {
        value = raw ? 1 : 0;
        finding = PRESENT;
      } else if (raw === null || raw === undefined) {
        finding = NULL;
      } else {
        value = instantOf(raw);
        finding = Number.isNaN(value) ? GOT_NO_INSTANT : PRESENT;
      }
      if (finding === PRESENT) {
        values[row] = value;
      } else {
        valid ??= new Uint8Array(rowCount).fill(1);
        valid[row] = 0;
        if (finding !== NULL) misfits.set(row, finding);
      }
    }
  }
  return { column: numberColumn(values, valid), misfits };
}

function readTexts(chunks: readonly DecodedArray[], rowCount: number): ReadColumn {
  const misfits = new Map<number, FieldFinding>();
  const offsets = new Int32Array(rowCount + 1);
  let valid: Uint8Array | null = null;
  let data = new Uint8Array(rowCount * 16);
  let end = 0;
  let row = 0;
  for (const chunk of chunks) {
    for (let i = 0; i < chunk.length; i++, row++) {
      const raw: unknown = chunk[i];
      const text = textOf(raw);
      if (text !== null && isUtf8(text, 0, text.length)) {
        if (end + text.length > data.length) {
          const grown = new Uint8Array(2 * (end + text.length));
          grown.set(data);
          data = grown;
        }
        data.set(text, end);
        end += text.length;
      } else {
        valid ??= new Uint8Array(rowCount).fill(1);
        valid[row] = 0;
        if (text !== null) misfits.set(row, GOT_BYTES);
        else if (raw !== null && raw !== undefined) misfits.set(row, GOT_NUMBER);
      }
      offsets[row + 1] = end;
    }
  }
  return { column: utf8Column(data.slice(0, end), offsets, valid), misfits };
}

/** The text's UTF-8; whole numbers give their digits. Null for null, and for what is neither. */
function textOf(raw: unknown): Uint8Array | null {
  if (raw instanceof Uint8Array) return raw;
  if (typeof raw === 'string') return encoder.encode(raw);
  if (typeof raw === 'bigint' || Number.isInteger(raw)) return encoder.encode(String(raw));
  return null;
}

function instantOf(raw: unknown): number {
  const text = textOf(raw);
  return text === null ? Number.NaN : readInstant(text, 0, text.length);
}
