import { SluiceError } from '../../engine/error.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { mergedPartition } from '../../engine/source/merged/input-partition.ts';
import type { LiftedField } from '../../engine/source/merged/lift.ts';
import { MarkRule } from '../flow/marks.ts';
import { UnionFlow } from '../flow/union-flow.ts';
import type { Flat } from './fields.ts';
import { inputsOf, operatorIdsOf } from './meeting.ts';
import { Stream } from './stream.ts';
import type { Shape } from './stream-operator.ts';
import type { NodeParts, OpenNode } from './stream-origin.ts';
import { delayOf } from './stream-plan.ts';

/** The column of a union that says which of its streams a record is of. */
const nameColumn = 'input';

type RowIn<U> = U extends Stream<infer S> ? S['row'] : never;

type NamesIn<I> = { [N in keyof I]: keyof RowIn<I[N]> }[keyof I] & string;

/** Whether every stream has the field. */
type IsEverywhere<I, N> = [{ [S in keyof I]: N extends keyof RowIn<I[S]> ? never : S }[keyof I]] extends [never]
  ? true
  : false;

type ValueIn<I, N> = { [S in keyof I]: N extends keyof RowIn<I[S]> ? RowIn<I[S]>[N] : never }[keyof I];

/** A record of a union: which stream it is of, and the fields of all of them; those that its own has not are null. */
export type UnitedRow<I> = Flat<
  { readonly input: keyof I & string } & {
    readonly [N in NamesIn<I>]: IsEverywhere<I, N> extends true ? ValueIn<I, N> : ValueIn<I, N> | null;
  }
>;

/**
 * Lets the records of several streams go on as one (docs/joins.md, "Unions"). Fields of one name are of one type; `input` is the name that a record's stream is given here.
 *
 *     union({ cards, transfers }).pipe(keyBy('account'), tumbling('1h', { n: count() }))
 *
 * What waits for the watermark behind it waits for that of all streams, heard from or not.
 *
 * @throws {SluiceError} `STREAM_WITHOUT_TIME`, `INPUT_TWICE`, `STREAM_ID_TAKEN`; `UNION_TYPES` where a field is of two types; `UNION_MIXED` for records that were read beside results of an operator.
 */
export function union<const I extends Readonly<Record<string, Stream<Shape>>>>(
  streams: I,
): Stream<{ row: UnitedRow<I>; key: null }> {
  const named = Object.entries(streams);
  const all = named.map(([, stream]) => stream);
  const inputs = inputsOf(all);
  const operatorIds = operatorIdsOf(all, []);
  const [first] = all;
  const of = first?.plan.of ?? 'records';
  if (all.some(({ plan }) => plan.of !== of)) {
    throw new SluiceError(
      'UNION_MIXED',
      'a union must be of records that were read, or of results: records are accounted for where they come out, results by what they came of',
    );
  }
  for (const { plan } of all) delayOf(plan, 'union');
  const schema = unitedSchema(named.map(([name, { plan }]) => ({ name, schema: plan.schema })));
  const lifts = named.map(([name, { plan }]) =>
    schema.fields.map((field): LiftedField => {
      if (field.name === nameColumn) return { text: name };
      return plan.schema.field(field.name) === undefined ? null : { column: field.name };
    }),
  );
  return new Stream(
    {
      source: null,
      plan: {
        schema,
        sourceKey: [],
        eventTime: { field: '', delayMs: Infinity },
        key: null,
        of,
        emits: Math.max(0, ...all.map(({ plan }) => plan.emits)),
        operatorIds,
        again: { notAgain: 'union' },
        arrivals: 'not told',
      },
      meaning: ['union', named.map(([name, { meaning }]) => [name, meaning])],
      inputs,
      open: (parts) => openUnion(parts, all, lifts, schema),
    },
    [],
  );
}

function openUnion(
  parts: NodeParts,
  streams: readonly Stream<Shape>[],
  lifts: readonly (readonly LiftedField[])[],
  schema: Schema,
): OpenNode {
  const nodes = streams.map((stream) => stream.openNode(parts));
  const { length } = nodes;
  const watermarks = nodes.flatMap((open, input) =>
    open.watermarks.map((each) => ({
      ...each,
      partition: mergedPartition(input, open.partitionOf(each.partition), length),
    })),
  );
  const rule = new MarkRule({
    scope: 'partition',
    delayOf: (partition) => streams[partition % length]?.plan.eventTime?.delayMs ?? Infinity,
    heldMs: 0,
    start: watermarks,
  });
  return {
    node: new UnionFlow({
      inputs: nodes.map(({ node, partitionOf }, input) => ({ node, lift: lifts[input] ?? [], partitionOf })),
      schema,
      rule,
    }),
    gives: nodes[0]?.gives ?? 'records',
    watermarks,
    partitionOf: (partition) => partition,
  };
}

/** The fields of all streams by name, in the order in which they come; one that not every stream must have is optional. */
function unitedSchema(streams: readonly { readonly name: string; readonly schema: Schema }[]): Schema {
  const fields = new Map<string, Field>();
  for (const { name: stream, schema } of streams) {
    for (const { name, type } of schema.fields) {
      const known = fields.get(name);
      if (name === nameColumn || (known !== undefined && known.type !== type)) {
        const why =
          known === undefined
            ? `is what a union calls a record's stream`
            : `is a ${type}, and elsewhere a ${known.type}`;
        throw new SluiceError(
          'UNION_TYPES',
          `the fields of a union must be of one type each; "${name}" of ${stream} ${why}`,
        );
      }
      const isEverywhere = streams.every((other) => other.schema.field(name)?.presence === 'required');
      fields.set(name, { name, type, presence: isEverywhere ? 'required' : 'optional' });
    }
  }
  return new Schema([{ name: nameColumn, type: 'string', presence: 'required' }, ...fields.values()]);
}
