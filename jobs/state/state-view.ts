import { SluiceError } from '../../engine/error.ts';
import type { StateEntry, StateReader } from '../../engine/state/state-store.ts';
import { PartitionWatermarks, type PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { KeptRow, KeptValue } from '../../engine/state/state-describer.ts';
import { keyOfParts, keyParts, keyPartValue } from '../../operators/key/decode-key.ts';
import type { JobOperator } from './job-operators.ts';

/** State of a job as of one moment: what a store holds, or what was computed from the log. */
export interface StateView {
  readonly operators: readonly JobOperator[];
  readonly reader: StateReader;
  /** As of the state. */
  readonly watermarksMs: readonly PartitionWatermark[];
}

/** One thing that an operator remembers, for people and for SQL: a line of JSON. */
export interface StateRow {
  readonly operator: string;
  readonly kind: string;
  /** The key's fields; `null` for what an operator remembers of itself. */
  readonly key: Readonly<Record<string, KeptValue>> | null;
  /** ISO 8601; `null` for a row that has none. */
  readonly event_time: string | null;
  readonly values: Readonly<Record<string, KeptValue>>;
}

/**
 * What operators remember, in the order of the operators and, within each, of its store.
 *
 * @param operatorId of the one operator that is asked for; `null`: all.
 * @throws {SluiceError} `OPERATOR_UNKNOWN`, `STATE_FORMAT`.
 */
export async function* scanState(view: StateView, operatorId: string | null): AsyncGenerator<StateRow> {
  for (const operator of chosen(view, operatorId)) {
    for await (const row of keptRows(view, operator)) yield stateRow(operator, row);
  }
}

/**
 * What operators remember of one key: those whose key has as many fields.
 *
 * @param parts the key's fields, as text.
 * @throws {SluiceError} `OPERATOR_UNKNOWN`, `KEY_PARTS_WRONG`, `STATE_FORMAT`.
 */
export async function stateOfKey(
  view: StateView,
  parts: readonly string[],
  operatorId: string | null,
): Promise<readonly StateRow[]> {
  const key = keyOfParts(parts);
  const asked = chosen(view, operatorId);
  const fitting = asked.filter(({ describer }) => describer.keyFields.length === parts.length);
  if (fitting.length === 0) {
    const keys = asked.map(({ describer }) => `${describer.operatorId} (${describer.keyFields.join(', ')})`);
    throw new SluiceError(
      'KEY_PARTS_WRONG',
      `a key must have as many parts as an operator's key has fields; got ${parts.length}, there are ${keys.join('; ') || 'no operators with state'}`,
    );
  }
  const rows: StateRow[] = [];
  for (const operator of fitting) {
    for await (const row of keptRows(view, operator, { key })) rows.push(stateRow(operator, row));
  }
  return rows;
}

/** Which rows are looked at, and what stands for what cannot be read. */
export interface Looking {
  /** The rows of this key alone. */
  readonly key?: Uint8Array;
  /** Entries that lie under a key for which it is false need not be read. */
  readonly wants?: (key: Uint8Array) => boolean;
  /** What stands for an entry that cannot be read; without it, the error is thrown. */
  readonly onDamage?: (entry: StateEntry, error: SluiceError) => KeptRow;
}

/**
 * The rows of an operator that a record may still see.
 *
 * @throws {SluiceError} `STATE_FORMAT`.
 */
export async function* keptRows(
  { reader, watermarksMs }: StateView,
  { describer }: JobOperator,
  { key, wants, onDamage }: Looking = {},
): AsyncGenerator<KeptRow> {
  const { operatorId, filedBy, keepsMs } = describer;
  const horizonMs = keepsMs === null ? -Infinity : new PartitionWatermarks(watermarksMs).minimumMs() - keepsMs;
  const isSeen = ({ eventTimeMs }: KeptRow): boolean => eventTimeMs === null || eventTimeMs > horizonMs;
  if (key !== undefined && filedBy === 'key') {
    const [value] = await reader.getMany(operatorId, [key]);
    if (value !== null && value !== undefined) yield* describer.rowsOf({ key, value }).filter(isSeen);
    return;
  }
  const rowsOf = (entry: StateEntry): readonly KeptRow[] => {
    try {
      return describer.rowsOf(entry);
    } catch (error) {
      if (onDamage === undefined || !(error instanceof SluiceError)) throw error;
      return [onDamage(entry, error)];
    }
  };
  for await (const entry of reader.scan(operatorId)) {
    if (filedBy === 'key' && wants?.(entry.key) === false) continue;
    for (const row of rowsOf(entry)) {
      const isAsked = key === undefined || (row.key !== null && Buffer.compare(row.key, key) === 0);
      if (isAsked && isSeen(row)) yield row;
    }
  }
}

function stateRow({ describer, inputSchema }: JobOperator, { key, eventTimeMs, values }: KeptRow): StateRow {
  const { operatorId, kind, keyFields } = describer;
  const typed = (part: string, index: number): readonly [string, KeptValue] => {
    const name = keyFields[index] ?? String(index);
    return [name, keyPartValue(part, inputSchema.field(name)?.type ?? 'string')];
  };
  return {
    operator: operatorId,
    kind,
    key: key === null ? null : Object.fromEntries(keyParts(key).map(typed)),
    event_time: eventTimeMs === null ? null : new Date(eventTimeMs).toISOString(),
    values,
  };
}

function chosen({ operators }: StateView, operatorId: string | null): readonly JobOperator[] {
  if (operatorId === null) return operators;
  const found = operators.filter(({ describer }) => describer.operatorId === operatorId);
  if (found.length > 0) return found;
  const names = operators.map(({ describer }) => describer.operatorId);
  throw new SluiceError(
    'OPERATOR_UNKNOWN',
    `an operator with state must be one of ${names.join(', ') || '(there is none)'}; got "${operatorId}"`,
  );
}
