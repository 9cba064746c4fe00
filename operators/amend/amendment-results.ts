import { strict as assert } from 'node:assert';
import { AmendedRecords } from '../../engine/execution/amended-records.ts';
import type { Emitted } from '../../engine/execution/section.ts';
import { numberColumn, type Column } from '../../engine/record/column.ts';
import { columnOf, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { OutputRows } from '../row/output-rows.ts';
import type { EmittingLogic } from '../stateful/emit-logic.ts';
import type { AmendDefinition } from './amend-definition.ts';
import { AmendLogic } from './amend-logic.ts';
import { afterColumn, amendmentColumns as columns, amendmentSchema, beforeColumn } from './amendment-rows.ts';

/** Where a field of an amendment comes from: a column of it, or what it is of. */
type From = { readonly column: string } | 'event time' | 'partition' | 'offset';

/** What an amendment has beside the fields that name its decision and the features, as the topic of amendments calls it, and where that comes from. */
const headFields: readonly (Field & { readonly from: From })[] = [
  { name: 'event_time', type: 'timestamp', presence: 'required', from: 'event time' },
  { name: 'decision_time', type: 'timestamp', presence: 'optional', from: { column: columns.decisionTime } },
  { name: 'source_partition', type: 'long', presence: 'required', from: 'partition' },
  { name: 'source_offset', type: 'long', presence: 'required', from: 'offset' },
  { name: 'revision', type: 'long', presence: 'required', from: { column: columns.revision } },
  { name: 'changed', type: 'string', presence: 'required', from: { column: columns.changed } },
  { name: 'cause.event_time', type: 'timestamp', presence: 'required', from: { column: columns.causeEventTime } },
  { name: 'cause.arrival_time', type: 'timestamp', presence: 'optional', from: { column: columns.causeTime } },
  { name: 'cause.source_partition', type: 'long', presence: 'required', from: { column: columns.causePartition } },
  { name: 'cause.source_offset', type: 'long', presence: 'required', from: { column: columns.causeOffset } },
];

/** The fields of amendments that go on as records of their own, in order: what names the decision, when and where it stands and what brought the amendment out, every feature before and after. */
export function amendmentFields(definition: AmendDefinition, schema: Schema): Schema {
  const { identity, features } = definition;
  const told = (name: string, feature: string): readonly Field[] => {
    const field = schema.field(feature);
    return field === undefined ? [] : [{ name, type: field.type, presence: 'optional' }];
  };
  return new Schema([
    ...identity.flatMap((name) => schema.field(name) ?? []),
    ...headFields.map(({ name, type, presence }): Field => ({ name, type, presence })),
    ...features.flatMap((feature) => told(`before.${feature}`, feature)),
    ...features.flatMap((feature) => told(`after.${feature}`, feature)),
  ]);
}

/**
 * {@link AmendLogic} as an operator of results, for a stream that goes on with the amendments and not with the records: each comes at the event time of its decision, which is up to `withinMs` behind
 * the watermark, under the position of the record that brought it out.
 */
export class AmendmentResults implements EmittingLogic {
  readonly operatorId: string;
  readonly #logic: AmendLogic;
  readonly #into = new AmendedRecords();
  readonly #schema: Schema;
  /** For each field of the results, in their order. */
  readonly #from: readonly From[];

  /**
   * @param input as {@link AmendLogic} has it.
   * @param schema of the batches that come in, but for the arrivals that they may have.
   */
  constructor(
    definition: AmendDefinition,
    input: Schema,
    schema: Schema,
    start: { readonly state: 'empty' | 'stored' },
  ) {
    this.operatorId = definition.operatorId;
    this.#logic = new AmendLogic(definition, input, schema, start, this.#into);
    this.#schema = amendmentFields(definition, schema);
    const told = amendmentSchema(definition, schema).fields.map(({ name }) => name);
    const { identity, features } = definition;
    const ofColumns = (names: readonly string[]): readonly From[] =>
      names.filter((name) => told.includes(name)).map((column) => ({ column }));
    this.#from = [
      ...ofColumns(identity),
      ...headFields.map(({ from }) => from),
      ...ofColumns(features.map(beforeColumn)),
      ...ofColumns(features.map(afterColumn)),
    ];
    assert(this.#from.length === this.#schema.fields.length, 'each field of an amendment is of one of its columns');
  }

  prefetch(batch: RecordBatch, reader: StateReader): Promise<void> {
    return this.#logic.prefetch(batch, reader);
  }

  apply(batch: RecordBatch): RecordBatch {
    return this.emit(batch).records;
  }

  emit(batch: RecordBatch): Emitted {
    this.#logic.apply(batch);
    const amended = this.#into.take();
    return {
      records: amended === null ? new OutputRows(this.#schema).build() : this.#resultsOf(amended),
      taken: batch.rowCount,
      filtered: 0,
      late: selectRows(batch, new Int32Array(0)),
    };
  }

  takeChanges(): readonly StateWrite[] {
    return this.#logic.takeChanges();
  }

  dropChanges(): void {
    this.#logic.dropChanges();
  }

  takeLetGoEarly(): number {
    return this.#logic.takeLetGoEarly();
  }

  #resultsOf(amended: RecordBatch): RecordBatch {
    const { partitions, offsets, eventTimesMs } = amended;
    const columnFrom = (from: From): Column => {
      if (from === 'event time') return numberColumn(eventTimesMs);
      if (from === 'partition') return numberColumn(Float64Array.from(partitions));
      return from === 'offset' ? numberColumn(offsets) : columnOf(amended, from.column);
    };
    return {
      ...amended,
      schema: this.#schema,
      columns: this.#from.map(columnFrom),
      partitions: Int32Array.from(numbersOf(amended, columns.causePartition)),
      offsets: Float64Array.from(numbersOf(amended, columns.causeOffset)),
    };
  }
}

function numbersOf(batch: RecordBatch, name: string): Float64Array {
  const column = columnOf(batch, name);
  assert(column.kind === 'number', `"${name}" is a column of numbers`);
  return column.values;
}
