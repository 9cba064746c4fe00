import { Schema, type Field } from '../../engine/record/schema.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { OutputRows, type Cell } from '../row/output-rows.ts';
import type { AmendDefinition } from './amend-definition.ts';
import type { AmendLayout, KeptColumn } from './amend-layout.ts';
import type { KeptRecord, Values } from './kept-record.ts';

/** Columns of an amendment beside the fields that name the decision. No field of a record is called so. */
export const amendmentColumns = {
  /** When the log took the record that was decided on; null where it does not say. */
  decisionTime: '(decision time)',
  /** The number of the amendment among those of its decision, from 1. */
  revision: '(revision)',
  causePartition: '(cause partition)',
  causeOffset: '(cause offset)',
  causeEventTime: '(cause event time)',
  /** When the log took the record that brought the amendment out. */
  causeTime: '(cause time)',
  /** The features that are beyond their tolerance, as a JSON list of their names. */
  changed: '(changed)',
} as const;

/** The column that holds a feature as it was told last. */
export const beforeColumn = (feature: string): string => `(before) ${feature}`;
/** The column that holds it as it is now. */
export const afterColumn = (feature: string): string => `(after) ${feature}`;

/** The column that holds a field of the decision's record. */
export const recordColumn = (field: string): string => `(record) ${field}`;

const ownFields: readonly Field[] = [
  { name: amendmentColumns.decisionTime, type: 'timestamp', presence: 'optional' },
  { name: amendmentColumns.revision, type: 'long', presence: 'required' },
  { name: amendmentColumns.causePartition, type: 'long', presence: 'required' },
  { name: amendmentColumns.causeOffset, type: 'long', presence: 'required' },
  { name: amendmentColumns.causeEventTime, type: 'timestamp', presence: 'required' },
  { name: amendmentColumns.causeTime, type: 'timestamp', presence: 'optional' },
  { name: amendmentColumns.changed, type: 'string', presence: 'required' },
];

/** The schema of a definition's amendments: positions and event times of the batch are those of the decisions. */
export function amendmentSchema({ identity, features, carried = [] }: AmendDefinition, schema: Schema): Schema {
  const named = identity.flatMap((name) => schema.field(name) ?? []);
  const told = (names: readonly string[], nameOf: (name: string) => string): readonly Field[] =>
    names.flatMap((name) => {
      const field = schema.field(name);
      return field === undefined ? [] : { name: nameOf(name), type: field.type, presence: 'optional' as const };
    });
  return new Schema([
    ...named,
    ...ownFields,
    ...told(features, beforeColumn),
    ...told(features, afterColumn),
    ...told(carried, recordColumn),
  ]);
}

/** The amendments of a batch, as they come. */
export class AmendmentRows {
  readonly #rows: OutputRows;
  readonly #identity: readonly KeptColumn[];
  readonly #told: readonly KeptColumn[];
  readonly #carried: readonly KeptColumn[];
  #count = 0;

  constructor(definition: AmendDefinition, layout: AmendLayout, schema: Schema) {
    this.#rows = new OutputRows(schema);
    const columnOf = new Map(layout.columns.map((column) => [column.field.name, column]));
    this.#identity = definition.identity.flatMap((name) => columnOf.get(name) ?? []);
    this.#carried = (definition.carried ?? []).flatMap((name) => columnOf.get(name) ?? []);
    this.#told = layout.told.flatMap((column) => layout.columns[column] ?? []);
  }

  /**
   * Adds the amendment of a decision, from what was told of it to what its features are now.
   *
   * @param watermarkMs of the cause.
   */
  add(decision: KeptRecord, cause: KeptRecord, changed: readonly string[], watermarkMs: number): void {
    const { partition, offset, eventTimeMs, values, told, revision } = decision;
    const cells: Cell[] = [
      ...this.#identity.map((column) => cellOf(column, values)),
      instantOf(decision.arrivedMs),
      revision,
      cause.partition,
      cause.offset,
      cause.eventTimeMs,
      instantOf(cause.arrivedMs),
      JSON.stringify(changed),
      ...this.#told.map((column) => cellOf(column, told)),
      ...this.#told.map((column) => cellOf(column, values)),
      ...this.#carried.map((column) => cellOf(column, values)),
    ];
    this.#rows.add(cells, { partition, offset, eventTimeMs, watermarkMs, flags: 0 });
    this.#count++;
  }

  /** All of them as a batch; `null` for none. */
  build(): RecordBatch | null {
    return this.#count === 0 ? null : this.#rows.build();
  }
}

function instantOf(arrivedMs: number): number | null {
  return Number.isNaN(arrivedMs) ? null : arrivedMs;
}

function cellOf({ form, slot }: KeptColumn, { numbers, texts }: Values): Cell {
  if (form === 'text') return texts[slot] ?? null;
  const number = numbers[slot] ?? NaN;
  return Number.isNaN(number) ? null : number;
}
