import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { Column } from '../record/column.ts';
import { DEGRADED, LATE, type RecordBatch } from '../record/record-batch.ts';
import type { FieldType, Schema } from '../record/schema.ts';
import type { OutputField, OutputValue } from './encoder.ts';

/** An output field whose value differs from record to record, resolved against the schema of the batches. */
export interface OutputColumn {
  readonly name: string;
  readonly type: FieldType;
  /** Whether its texts are written as they are, being of the format already. */
  readonly verbatim?: boolean;
  /** This field's values in a batch. Called once a batch: positions and flags are given the form of a column, so that encoders know only columns. */
  readonly of: (records: RecordBatch) => Column;
}

/** An output field that is the same in every record. */
export interface OutputConstant {
  readonly name: string;
  readonly constant: string | number | boolean;
}

/**
 * Resolves output fields against the schema of the batches. Called by encoders when they are made.
 *
 * @throws {SluiceError} `OUTPUT_COLUMN_UNKNOWN`, `OUTPUT_FIELD_DUPLICATE`, `OUTPUT_CONSTANT_INVALID`.
 */
export function resolveFields(
  schema: Schema,
  fields: readonly OutputField[],
): readonly (OutputColumn | OutputConstant)[] {
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name)) {
      throw new SluiceError('OUTPUT_FIELD_DUPLICATE', `the names of output fields must be unique; got "${name}" twice`);
    }
    names.add(name);
  }
  return fields.map(({ name, value }) => {
    if (value.kind !== 'constant') return resolve(schema, name, value);
    if (typeof value.value === 'number' && !Number.isFinite(value.value)) {
      throw new SluiceError(
        'OUTPUT_CONSTANT_INVALID',
        `the output field "${name}" must be a finite number; got ${value.value}`,
      );
    }
    return { name, constant: value.value };
  });
}

/** The columns that make a key. @throws {SluiceError} `OUTPUT_COLUMN_UNKNOWN`. */
export function resolveKey(schema: Schema, key: readonly string[]): readonly OutputColumn[] {
  return key.map((column) => resolve(schema, column, { kind: 'column', column }));
}

function resolve(schema: Schema, name: string, value: Exclude<OutputValue, { kind: 'constant' }>): OutputColumn {
  switch (value.kind) {
    case 'json':
    case 'column': {
      const index = schema.indexOf(value.column);
      const type = schema.fields[index]?.type;
      if (type === undefined) {
        throw new SluiceError(
          'OUTPUT_COLUMN_UNKNOWN',
          `the output field "${name}" must come from a column of the records; got "${value.column}", where there are ${schema.fields.map((field) => field.name).join(', ')}`,
        );
      }
      return {
        name,
        type,
        verbatim: value.kind === 'json' && type === 'string',
        of: (records) => {
          const column = records.columns[index];
          assert(
            column !== undefined && records.schema.fields[index]?.name === value.column,
            'batches must have the schema that was announced',
          );
          return column;
        },
      };
    }
    case 'position':
      return { name, type: 'long', of: value.of === 'partition' ? partitionsOf : offsetsOf };
    case 'event-time':
      return {
        name,
        type: 'timestamp',
        of: (records) => ({ kind: 'number', values: records.eventTimesMs, valid: null }),
      };
    case 'flag': {
      const flag = value.flag === 'late' ? LATE : DEGRADED;
      return {
        name,
        type: 'boolean',
        of: (records) => ({ kind: 'number', values: flagValues(records.flags, flag), valid: null }),
      };
    }
  }
}

function partitionsOf(records: RecordBatch): Column {
  return { kind: 'number', values: Float64Array.from(records.partitions), valid: null };
}

function offsetsOf(records: RecordBatch): Column {
  return { kind: 'number', values: records.offsets, valid: null };
}

function flagValues(flags: Uint8Array, flag: number): Float64Array {
  const values = new Float64Array(flags.length);
  for (let row = 0; row < flags.length; row++) values[row] = ((flags[row] ?? 0) & flag) === 0 ? 0 : 1;
  return values;
}
