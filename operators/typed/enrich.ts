import { SluiceError } from '../../engine/error.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { parseDuration } from '../../engine/time/duration.ts';
import type { AsOf, EnrichDefinition, Missing } from '../enrich/enrich-definition.ts';
import { EnrichFlow } from '../flow/enrich-flow.ts';
import { inputColumn } from '../join/join-definition.ts';
import type { Flat, NamesOf } from './fields.ts';
import type { StatefulOptions } from './keyed-operators.ts';
import { checkKeys, inputsOf, operatorIdsOf } from './meeting.ts';
import { Stream } from './stream.ts';
import type { Shape } from './stream-operator.ts';
import type { NodeParts, OpenNode } from './stream-origin.ts';
import { checkFields, delayOf } from './stream-plan.ts';

/** What {@link enrich} is told. */
export interface EnrichOptions<
  S extends Shape,
  T extends Shape,
  F extends Readonly<Record<string, keyof T['row'] & string>>,
  M extends Missing,
> extends StatefulOptions {
  /** The record's field that is looked up in the table's key, which is its topic's. */
  readonly on: NamesOf<S['row'], string | number>;
  /** What records are given: the table's fields, by the names that they get. */
  readonly take: F;
  /** Which version: the newest that is not later than the record (the default; Flink's temporal join), or the one that came last. Of those that were read before the record. */
  readonly asOf?: AsOf;
  /** What becomes of a record whose key the table has not: it has nulls (the default), or is left out. */
  readonly missing?: M;
  /** How far behind the stream's watermark a record may be and still find the version of its time; default `0s`. */
  readonly allowedLateness?: string;
}

/** A record with what was looked up for it. */
export type EnrichedRow<S extends Shape, T extends Shape, F, M extends Missing> = Flat<
  S['row'] & {
    readonly [N in keyof F]: M extends 'drop'
      ? T['row'][F[N] & keyof T['row']]
      : T['row'][F[N] & keyof T['row']] | null;
  }
>;

/**
 * Gives each record the fields of one version of its key in a table: a stream whose records are versions of their keys, such as a compacted topic (docs/joins.md, "Tables"). A record is answered at
 * once, with the versions that were read before it; tables are read first.
 *
 *     enrich(orders, rates, { on: 'currency', take: { rate: 'rate', rate_of: 'updated' } })
 *
 * @throws {SluiceError} `STREAM_WITHOUT_TIME`, `INPUT_TWICE`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN`, `KEY_TYPE`; `TABLE_KEY` where the table's topic is not keyed by one field, or was not left as it was read.
 */
export function enrich<
  S extends Shape,
  T extends Shape,
  const F extends Readonly<Record<string, keyof T['row'] & string>>,
  const M extends Missing = 'keep',
>(
  stream: Stream<S>,
  table: Stream<T>,
  options: EnrichOptions<S, T, F, M>,
): Stream<{ row: EnrichedRow<S, T, F, M>; key: S['key'] }> {
  const { on, take, asOf = 'event-time', missing = 'keep', allowedLateness = '0s', id = 'enrich' } = options;
  const tables = table.inputs.map((input) => ({ ...input, read: 'first' }) as const);
  const inputs = inputsOf([{ inputs: tables }, stream]);
  const operatorIds = operatorIdsOf([table, stream], [id]);
  const names: Readonly<Record<string, string>> = take;
  checkFields(stream.plan, [on], 'enrich');
  checkFields(table.plan, Object.values(names), 'enrich');
  delayOf(stream.plan, 'enrich');
  const [key, ...others] = table.plan.sourceKey;
  if (key === undefined || others.length > 0 || table.plan.of === 'results') {
    throw new SluiceError(
      'TABLE_KEY',
      'a table must be the records of a topic that is keyed by one field, and still have that field',
    );
  }
  checkKeys(stream.plan.schema.field(on)?.type, table.plan.schema.field(key)?.type, 'enrich', `"${on}" and "${key}"`);
  const { schema } = stream.plan;
  const looked = Object.entries(names).map(([name, from]): Field => ({
    name,
    type: table.plan.schema.field(from)?.type ?? 'string',
    presence: 'optional',
  }));
  const outputSchema = schema.with(...looked);
  const met = new Schema([
    ...table.plan.schema.fields.map((field): Field => ({
      ...field,
      name: `table.${field.name}`,
      presence: 'optional',
    })),
    ...schema.fields.map((field): Field => ({ ...field, name: `stream.${field.name}`, presence: 'optional' })),
    { name: inputColumn, type: 'long', presence: 'required' },
  ]);
  const definition: EnrichDefinition = {
    operatorId: id,
    table: 0,
    stream: 1,
    on: `stream.${on}`,
    key: `table.${key}`,
    columns: Object.values(names).map((name) => `table.${name}`),
    asOf,
    missing,
    allowedLatenessMs: parseDuration(allowedLateness),
    inputCount: 2,
  };
  return new Stream(
    {
      source: null,
      plan: { ...stream.plan, schema: outputSchema, operatorIds, again: { notAgain: 'enrich' } },
      meaning: ['enrich', stream.meaning, table.meaning, definition, Object.keys(names)],
      inputs,
      open: (parts) => openEnriched(parts, stream, table, { definition, schema: met, outputSchema }),
    },
    [],
  );
}

function openEnriched<S extends Shape, T extends Shape>(
  parts: NodeParts,
  stream: Stream<S>,
  table: Stream<T>,
  plan: { readonly definition: EnrichDefinition; readonly schema: Schema; readonly outputSchema: Schema },
): OpenNode {
  const { start, state } = parts;
  const versions = table.openNode(parts);
  const rows = stream.openNode(parts);
  const options = { ...plan, table: versions.node, stream: rows.node, gives: rows.gives };
  return { ...rows, node: new EnrichFlow(options, start, state) };
}
