import { tryCompileExpression } from '../../engine/expression/compile-expression.ts';
import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import { Schema, type FieldType } from '../../engine/record/schema.ts';
import { derivedSchema, type DerivedColumn } from '../../operators/derive/derive.ts';
import {
  eventTimeColumn,
  joinFields,
  type JoinDefinition,
  type JoinSide,
} from '../../operators/join/join-definition.ts';
import { conditionAt } from './check-window-aggregates.ts';
import type { LatePolicy } from '../checked-job.ts';
import type { JoinFields, JoinPart } from './check-join-shape.ts';
import type { JoinPlan, OneJoinPlan, SelectPlan } from '../plan/inputs-plan.ts';
import type { JobFiles } from '../job-files.ts';

/** Fields that can be part of a key. */
const keyTypes: readonly FieldType[] = ['string', 'long'];

/** One side of a join, as `on` sees it. */
export interface SideContext {
  /** For people. */
  readonly name: string;
  /** The fields that a key may be made of, by the names that `on` calls them. */
  readonly schema: Schema;
  /** The number that its records have, among those of the join. */
  readonly input: number;
  /** What a field is called among the records of all sides. */
  readonly columnOf: (field: string) => string;
  /** What is kept of its records, and comes out. */
  readonly columns: readonly string[];
}

/** What of a job decides one of its joins, beside what stands there itself. */
export interface OneJoinContext {
  /** Where it stands. */
  readonly at: DocumentPath;
  readonly id: string;
  readonly left: SideContext;
  readonly right: SideContext;
  /** Of the records of all sides. */
  readonly schema: Schema;
  readonly late: LatePolicy;
  /** How far each side's watermark is behind its records, by their numbers. */
  readonly delaysMs: readonly number[];
  /** Names that no result may have for a key. */
  readonly taken: readonly string[];
}

/** Checks one join of two sides and plans its operator; adds what is wrong to `files` and gives `null`. Called while a job is loaded, where its inputs are sound. */
export function checkOneJoin(
  document: PlanDocument,
  part: JoinPart,
  { at, id, left, right, schema, late, delaysMs, taken }: OneJoinContext,
  files: JobFiles,
): OneJoinPlan | null {
  const { diagnostics } = files;
  const before = diagnostics.length;
  const report = (path: DocumentPath, finding: Finding): void => {
    diagnostics.push(document.atValue([...at, ...path], finding));
  };
  const { before: beforeMs = 0, after: afterMs = 0 } = part.within;
  if (part.within.before === undefined && part.within.after === undefined) {
    const message = '"within" says neither "before" nor "after", and state without a bound would grow for ever';
    report(['within'], { code: 'KEY_MISSING', message, expected: '{ before: 1h, after: 1h }' });
  }
  const [leftFields, rightFields] = keyFields(part.on);
  if (leftFields.length !== rightFields.length) {
    const message = `the left key has ${leftFields.length} fields, and the right one ${rightFields.length}`;
    report(['on'], { code: 'VALUE_WRONG', message, expected: 'as many on each side' });
  }
  const places = keyPlaces(part.on);
  leftFields.forEach((name, index) => checkKeyField(name, left, places('left', index), report));
  rightFields.forEach((name, index) => checkKeyField(name, right, places('right', index), report));
  if (diagnostics.length > before) return null;
  leftFields.forEach((name, index) => {
    const types = [left.schema.field(name)?.type, right.schema.field(rightFields[index] ?? '')?.type];
    if (types[0] === types[1]) return;
    const message = `"${shown(left, name)}" is a ${types[0]}, and "${shown(right, rightFields[index] ?? '')}" a ${types[1]}`;
    report(places('right', index), { code: 'TYPE_WRONG', message, expected: `a ${types[0]} on both sides` });
  });
  // Behind the dot: what is joined by "orders.customer" is keyed by "customer".
  const key = leftFields.map((name) => name.slice(name.lastIndexOf('.') + 1));
  key.forEach((name, index) => {
    const clash = name === eventTimeColumn || taken.includes(name);
    if (!clash && key.indexOf(name) === index) return;
    const message = clash ? `a result already has a "${name}" of its own` : `"${name}" is here twice`;
    report(places('left', index), { code: 'NAME_DUPLICATE', message, expected: 'another name' });
  });
  if (diagnostics.length > before) return null;
  const side = ({ input, columnOf, columns }: SideContext, fields: readonly string[]): JoinSide => ({
    input,
    key: fields.map(columnOf),
    columns,
  });
  const definition: JoinDefinition = Object.freeze({
    operatorId: part.id ?? id,
    kind: part.kind ?? 'inner',
    left: Object.freeze(side(left, leftFields)),
    right: Object.freeze(side(right, rightFields)),
    key: Object.freeze(key),
    beforeMs,
    afterMs,
    allowedLatenessMs: late.allowedLatenessMs,
    delaysMs: Object.freeze([...delaysMs]),
  });
  const outputSchema = new Schema(joinFields(definition, schema));
  const place = { document, schema: outputSchema, diagnostics, path: [...at, 'where'] };
  const condition = part.where === undefined ? null : conditionAt(part.where, place);
  return diagnostics.length > before ? null : Object.freeze({ definition, condition, outputSchema });
}

/** Checks what a job publishes of its join's results: expressions by name. The key and the event time come first, whatever is selected. */
export function checkSelect(
  document: PlanDocument,
  select: Readonly<Record<string, string>>,
  { definition, outputSchema }: JoinPlan,
  { diagnostics }: JobFiles,
): SelectPlan | null {
  const before = diagnostics.length;
  const always = [...definition.key, eventTimeColumn];
  const columns = Object.entries(select).flatMap(([name, text]): DerivedColumn[] => {
    const path = ['select', name];
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name) || always.includes(name)) {
      const message = always.includes(name)
        ? `a result already has a field "${name}"`
        : `"${name}" cannot be the name of a column`;
      const expected = always.includes(name) ? 'another name' : 'a letter, then letters, digits and _';
      diagnostics.push(document.atKey(path, { code: 'VALUE_WRONG', message, expected }));
    }
    const outcome = tryCompileExpression(text, outputSchema);
    if (outcome.problems === null) return [{ name, expression: outcome.expression }];
    for (const { span, message, expected, nearest } of outcome.problems) {
      diagnostics.push(document.atPartOfValue(path, span, { code: 'EXPRESSION_INVALID', message, expected, nearest }));
    }
    return [];
  });
  if (diagnostics.length > before) return null;
  const kept = new Schema(outputSchema.fields.filter(({ name }) => always.includes(name)));
  return Object.freeze({ columns: Object.freeze(columns), outputSchema: derivedSchema(columns, kept) });
}

type Report = (path: DocumentPath, finding: Finding) => void;

function checkKeyField(name: string, side: SideContext, path: DocumentPath, report: Report): void {
  const { name: input, schema } = side;
  const type = schema.field(name)?.type;
  if (type !== undefined && keyTypes.includes(type)) return;
  const fitting = schema.fields.filter((field) => keyTypes.includes(field.type)).map((field) => field.name);
  report(path, {
    code: type === undefined ? 'NAME_UNKNOWN' : 'TYPE_WRONG',
    message:
      type === undefined ? `"${input}" has no field "${name}"` : `"${shown(side, name)}" is a ${type}, which is no key`,
    expected: `one of ${fitting.join(', ')}`,
    nearest: nearestName(name, fitting),
  });
}

/** A field as a result shows it. */
function shown({ columnOf }: SideContext, field: string): string {
  return columnOf(field);
}

/** The key's fields of the left input, and of the right. */
function keyFields(on: JoinPart['on']): readonly [readonly string[], readonly string[]] {
  const list = (fields: JoinFields): readonly string[] => (typeof fields === 'string' ? [fields] : fields);
  return typeof on === 'string' || !('left' in on) ? [list(on), list(on)] : [list(on.left), list(on.right)];
}

/** Where a key's field stands below `join:`. */
function keyPlaces(on: JoinPart['on']): (side: 'left' | 'right', index: number) => DocumentPath {
  return (side, index) => {
    const isSplit = typeof on !== 'string' && 'left' in on;
    const fields: JoinFields = isSplit ? on[side] : on;
    return ['on', ...(isSplit ? [side] : []), ...(typeof fields === 'string' ? [] : [index])];
  };
}
