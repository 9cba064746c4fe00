import { strict as assert } from 'node:assert';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { derivedSchema } from '../derive/derive.ts';
import { layOut, type RollingLayout } from '../rolling/rolling-layout.ts';
import type { AmendDefinition } from './amend-definition.ts';

/** A column of a kept record, and where its values lie: at `slot` of its numbers, or of its texts. */
export interface KeptColumn {
  readonly field: Field;
  readonly form: 'number' | 'text';
  readonly slot: number;
}

/** A derived column as it is computed again: all columns are told by their places in {@link AmendLayout.columns}. */
export interface DerivedAgain {
  readonly column: number;
  readonly expression: CompiledExpression;
  readonly reads: readonly number[];
  /** Of the columns that it reads, in that order. */
  readonly schema: Schema;
}

/** A column that a rolling step stores of each record; -1 for no input, and no condition. */
export interface StoredAgain {
  readonly input: number;
  readonly where: number;
  readonly form: 'number' | 'code';
}

/** A rolling step as it is computed again. */
export interface RolledAgain {
  readonly kind: 'rolling';
  /** Which of {@link AmendLayout.entities} it is of. */
  readonly entity: number;
  readonly layout: RollingLayout;
  readonly stored: readonly StoredAgain[];
  /** For each output of the layout, its column. */
  readonly outputs: readonly number[];
  /** The columns that it stores values of, each once. */
  readonly reads: readonly number[];
  /** Whether a record is in a window of its own. */
  readonly includesOwn: boolean;
  /** How far behind the watermark its answers are needed: by watched decisions, or by windows over them. */
  readonly neededMs: number;
}

/** A step that is computed again. */
export type StepAgain = { readonly kind: 'derive'; readonly columns: readonly DerivedAgain[] } | RolledAgain;

/** Records that are together in windows. */
export interface EntityAgain {
  readonly key: readonly number[];
  /** How far windows over them reach. */
  readonly reachMs: number;
  /** How far behind the watermark they are in windows of decisions in watch, through windows of the same key: `keepsMs` for one entity alone. */
  readonly keepsMs: number;
}

/** How records are kept and features computed again: worked out from a definition once, when the plan is made. */
export interface AmendLayout {
  /** What is kept of each record: its fields as far as features read them or amendments name them, then every column that the steps make. */
  readonly columns: readonly KeptColumn[];
  readonly numbers: number;
  readonly texts: number;
  /** By what records are together in windows: the columns of each key, each key once. */
  readonly entities: readonly EntityAgain[];
  readonly steps: readonly StepAgain[];
  /** For each column, whether windows are taken over it and it is computed itself: a record in which it has changed is not as live windows see it. */
  readonly feedsWindows: readonly boolean[];
  /** The columns that are told, in the definition's order. */
  readonly told: readonly number[];
  /** How far behind the watermark records are kept: as far as decisions are watched, and the windows of their features reach, through one another. */
  readonly keepsMs: number;
}

/** The schema of what a definition's steps make of their input. */
function schemasOf({ steps }: AmendDefinition, input: Schema): readonly Schema[] {
  const schemas = [input];
  for (const step of steps) {
    const before = schemas.at(-1) ?? input;
    schemas.push(
      step.kind === 'derive'
        ? derivedSchema(step.columns, before)
        : before.with(...layOut(step.definition, before).outputs.map(({ field }) => field)),
    );
  }
  return schemas;
}

/**
 * Lays out a definition. Called once for each operator.
 *
 * @param input the schema of the records that the first step is given; the plan has checked that it has what the steps read.
 */
export function layOutAmend(definition: AmendDefinition, input: Schema): AmendLayout {
  const schemas = schemasOf(definition, input);
  const columns = keptColumns(definition, input, schemas.at(-1) ?? input);
  const place = new Map(columns.map(({ field }, index) => [field.name, index]));
  const placeOf = (name: string): number => {
    const found = place.get(name);
    assert(found !== undefined, `column "${name}" must be kept`);
    return found;
  };
  const entities: { readonly key: readonly number[]; reachMs: number; keepsMs: number }[] = [];
  const entityOf = (key: readonly string[], reachMs: number): number => {
    const places = key.map(placeOf);
    let entity = entities.findIndex((known) => known.key.join() === places.join());
    if (entity < 0) entity = entities.push({ key: places, reachMs: 0, keepsMs: 0 }) - 1;
    const known = entities[entity];
    if (known !== undefined) known.reachMs = Math.max(known.reachMs, reachMs);
    return entity;
  };
  const steps = definition.steps.map((step, index): StepAgain => {
    if (step.kind === 'derive') {
      const derived = step.columns.map(({ name, expression }): DerivedAgain => {
        const reads = expression.reads.map(placeOf);
        const schema = new Schema(reads.flatMap((read) => columns[read]?.field ?? []));
        return { column: placeOf(name), expression, reads, schema };
      });
      return { kind: 'derive', columns: derived };
    }
    const layout = layOut(step.definition, schemas[index] ?? input);
    const stored = layout.columns.map(({ input: of, where, form }): StoredAgain => {
      return { input: of === null ? -1 : placeOf(of), where: where === null ? -1 : placeOf(where), form };
    });
    return {
      kind: 'rolling',
      entity: entityOf(step.definition.key, layout.reachMs),
      layout,
      stored,
      outputs: layout.outputs.map(({ field }) => placeOf(field.name)),
      reads: [...new Set(stored.flatMap(({ input: of, where }) => [of, where]))].filter((column) => column >= 0),
      includesOwn: layout.readings.some(({ current }) => current === 'include'),
      neededMs: 0,
    };
  });
  const told = definition.features.map(placeOf);
  const { needed, keepsMs } = needs(steps, told, definition.withinMs, columns.length);
  for (const step of steps) {
    const known = step.kind === 'rolling' ? entities[step.entity] : undefined;
    if (step.kind !== 'rolling' || known === undefined) continue;
    const forMs = Math.max(...step.outputs.map((column) => needed[column] ?? -Infinity));
    known.keepsMs = Math.max(known.keepsMs, definition.withinMs, forMs + step.layout.reachMs);
  }
  const made = new Set(definition.steps.flatMap((_, index) => madeBy(steps[index])));
  const read = new Set(steps.flatMap((step) => (step.kind === 'rolling' ? step.reads : [])));
  return {
    columns,
    numbers: columns.filter(({ form }) => form === 'number').length,
    texts: columns.filter(({ form }) => form === 'text').length,
    entities,
    steps: steps.map((step) => {
      if (step.kind === 'derive') return step;
      return { ...step, neededMs: Math.max(...step.outputs.map((column) => needed[column] ?? -Infinity)) };
    }),
    feedsWindows: columns.map((_, column) => made.has(column) && read.has(column)),
    told,
    keepsMs,
  };
}

function madeBy(step: StepAgain | undefined): readonly number[] {
  if (step === undefined) return [];
  return step.kind === 'derive' ? step.columns.map(({ column }) => column) : step.outputs;
}

/** The fields that are read or name a decision, in the record's order, then what the steps make. */
function keptColumns(definition: AmendDefinition, input: Schema, output: Schema): readonly KeptColumn[] {
  const { steps, identity, key, carried = [] } = definition;
  const wanted = new Set<string>([...identity, ...key, ...carried]);
  for (const step of steps) {
    if (step.kind === 'derive') {
      for (const { expression } of step.columns) expression.reads.forEach((name) => wanted.add(name));
      continue;
    }
    step.definition.key.forEach((name) => wanted.add(name));
    for (const { input: of, where } of step.definition.aggregates) {
      if (of !== null) wanted.add(of);
      if (where !== null) wanted.add(where);
    }
  }
  let numbers = 0;
  let texts = 0;
  return output.fields
    .filter(({ name }, index) => index >= input.fields.length || wanted.has(name))
    .map((field): KeptColumn => {
      const isText = field.type === 'string';
      return { field, form: isText ? 'text' : 'number', slot: isText ? texts++ : numbers++ };
    });
}

/** How far behind the watermark the values of each column must be right, and records be there at all: from the decisions that are watched backwards. */
function needs(
  steps: readonly StepAgain[],
  told: readonly number[],
  withinMs: number,
  count: number,
): { readonly needed: readonly number[]; readonly keepsMs: number } {
  const needed = Array.from({ length: count }, () => -Infinity);
  const need = (column: number, forMs: number): void => {
    needed[column] = Math.max(needed[column] ?? -Infinity, forMs);
  };
  for (const column of told) need(column, withinMs);
  let keepsMs = withinMs;
  for (const step of steps.toReversed()) {
    if (step.kind === 'derive') {
      for (const { column, reads } of step.columns.toReversed()) {
        for (const read of reads) need(read, needed[column] ?? -Infinity);
      }
      continue;
    }
    const forMs = Math.max(...step.outputs.map((column) => needed[column] ?? -Infinity)) + step.layout.reachMs;
    for (const read of step.reads) need(read, forMs);
    keepsMs = Math.max(keepsMs, forMs);
  }
  return { needed, keepsMs };
}
