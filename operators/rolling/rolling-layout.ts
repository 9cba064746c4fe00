import { strict as assert } from 'node:assert';
import type { Field, FieldType, Schema } from '../../engine/record/schema.ts';
import * as aggregators from './aggregators.ts';
import type { Aggregator } from './aggregators.ts';
import type { RollingAggregate, RollingDefinition, RollingFunction } from './rolling-definition.ts';

/** A column of the stored rows: the values of `input` where `where` holds, null elsewhere. Shared by all aggregates that read the same. */
export interface StoredColumn {
  /** The batch's column; `null` stores 1 (for conditional counts). */
  readonly input: string | null;
  readonly where: string | null;
  /** `code`: values are kept as numbers of a dictionary of their texts. */
  readonly form: 'number' | 'code';
}

/** One walk of one stored column: an aggregator, the windows that it answers, and where the answers go. */
export interface Walk {
  readonly function: RollingFunction;
  readonly aggregator: Aggregator;
  /** Index into the stored columns; -1 where the aggregator reads event times only. */
  readonly column: number;
  /** For each of its windows, shortest first, the window's index in the reading. */
  readonly windows: Int32Array;
  /** For each of its windows, the output column's index. */
  readonly outputs: Int32Array;
}

/** The windows that end at the same row of the key, so that one search finds their end. */
export interface Reading {
  readonly delayMs: number;
  readonly current: 'include' | 'exclude';
  /** Ascending, distinct. */
  readonly lengthsMs: Float64Array;
  readonly walks: readonly Walk[];
}

/** One output column: the field that the schema gets, and whether the walk's results are dictionary codes. */
export interface RollingOutput {
  readonly field: Field;
  readonly form: 'number' | 'code';
}

/** How a rolling operator stores rows and answers: worked out from its definition once, when the plan is made. */
export interface RollingLayout {
  readonly columns: readonly StoredColumn[];
  readonly readings: readonly Reading[];
  readonly outputs: readonly RollingOutput[];
  /** The longest `over + delay`. */
  readonly reachMs: number;
  /** How long behind the watermark rows are kept: `reachMs` + allowed lateness (semantics, "State's life"). */
  readonly retentionMs: number;
}

/** One output of one aggregate, before outputs with the same rows to walk are put together. */
interface Request {
  readonly aggregate: RollingAggregate;
  readonly output: RollingOutput;
  readonly kind: string;
  readonly make: () => Aggregator;
  readonly column: number;
}

/** Lays out a definition whose columns the plan has checked against `schema`. Called once per operator. */
export function layOut(definition: RollingDefinition, schema: Schema): RollingLayout {
  const columns: StoredColumn[] = [];
  const requests = definition.aggregates.flatMap((aggregate) => requestsOf(aggregate, schema, columns));
  const reachMs = Math.max(...definition.aggregates.map(({ overMs, delayMs }) => overMs + delayMs));
  return {
    columns,
    readings: readingsOf(requests),
    outputs: requests.map(({ output }) => output),
    reachMs,
    retentionMs: reachMs + definition.allowedLatenessMs,
  };
}

/** The fields that a rolling operator adds to its input, in order. */
export function rollingFields(definition: RollingDefinition, schema: Schema): readonly Field[] {
  return layOut(definition, schema).outputs.map(({ field }) => field);
}

function requestsOf(aggregate: RollingAggregate, schema: Schema, columns: StoredColumn[]): Request[] {
  const inputType = aggregate.input === null ? null : schema.field(aggregate.input)?.type;
  assert(inputType !== undefined, `the input column "${aggregate.input}" must be in the schema`);
  const form = aggregate.function === 'distinct' || inputType === 'string' ? 'code' : 'number';
  const { input, where } = aggregate;
  const column = input === null && where === null ? -1 : placeOf({ input, where, form }, columns);
  const request = (suffix: string, kind: string, make: () => Aggregator): Request => {
    const valued = aggregate.function === 'first' || aggregate.function === 'last' || aggregate.function === 'lastN';
    const type: FieldType = valued && inputType !== null ? inputType : isCount(aggregate) ? 'long' : 'double';
    const field: Field = { name: aggregate.name + suffix, type, presence: 'optional' };
    return { aggregate, output: { field, form: valued ? form : 'number' }, kind, make, column };
  };
  if (aggregate.function !== 'lastN') return [request('', aggregate.function, () => aggregatorOf(aggregate, column))];
  return Array.from({ length: aggregate.n ?? 1 }, (_, index) =>
    request(`_${index + 1}`, `lastN ${index + 1}`, () => aggregators.nthNewest(index + 1)),
  );
}

function isCount(aggregate: RollingAggregate): boolean {
  return aggregate.function === 'count' || aggregate.function === 'distinct';
}

function placeOf(wanted: StoredColumn, columns: StoredColumn[]): number {
  const { input, where, form } = wanted;
  const found = columns.findIndex((column) => column.input === input && column.where === where && column.form === form);
  return found >= 0 ? found : columns.push(wanted) - 1;
}

function aggregatorOf(aggregate: RollingAggregate, column: number): Aggregator {
  switch (aggregate.function) {
    case 'count':
      return column < 0 ? aggregators.countRows : aggregators.countValues;
    case 'sum':
      return aggregators.sum;
    case 'avg':
      return aggregators.mean;
    case 'min':
      return aggregators.minimum;
    case 'max':
      return aggregators.maximum;
    case 'stddev':
      return aggregators.sampleDeviation;
    case 'first':
      return aggregators.first;
    case 'last':
      return aggregators.last;
    case 'distinct':
      return aggregators.distinctCodes();
    case 'sinceLast':
      return column < 0 ? aggregators.sinceLastRow : aggregators.sinceLastValue;
    case 'decayedSum':
      assert(aggregate.halfLifeMs !== null, 'decayedSum must have a half-life');
      return aggregators.decayedSum(aggregate.halfLifeMs);
    case 'lastN':
      return aggregators.nthNewest(aggregate.n ?? 1);
  }
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

function readingsOf(requests: readonly Request[]): Reading[] {
  const outputIndex = new Map(requests.map((request, index) => [request, index]));
  const byEnd = groupBy(requests, ({ aggregate }) => `${aggregate.delayMs} ${endOf(aggregate)}`);
  return byEnd.flatMap((group) => {
    const [leader] = group;
    if (leader === undefined) return [];
    const lengthsMs = Float64Array.from(new Set(group.map(({ aggregate }) => aggregate.overMs))).sort();
    const walkKey = (request: Request): string =>
      `${request.kind} ${request.column} ${request.aggregate.halfLifeMs ?? ''}`;
    const walks = groupBy(group, walkKey).flatMap((members) => {
      const sorted = members.toSorted((a, b) => a.aggregate.overMs - b.aggregate.overMs);
      const [first] = sorted;
      if (first === undefined) return [];
      return {
        function: first.aggregate.function,
        aggregator: first.make(),
        column: first.column,
        windows: Int32Array.from(sorted, ({ aggregate }) => lengthsMs.indexOf(aggregate.overMs)),
        outputs: Int32Array.from(sorted, (request) => outputIndex.get(request) ?? -1),
      };
    });
    return { delayMs: leader.aggregate.delayMs, current: endOf(leader.aggregate), lengthsMs, walks };
  });
}

/** A delayed window ends before the record, so for it `current` makes no difference. */
function endOf({ delayMs, current }: RollingAggregate): 'include' | 'exclude' {
  return delayMs > 0 ? 'exclude' : current;
}
