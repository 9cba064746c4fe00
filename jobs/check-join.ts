import { tryCompileExpression } from '../engine/expression/compile-expression.ts';
import { nearestName } from '../engine/plan/nearest-name.ts';
import type { DocumentPath, Finding, PlanDocument } from '../engine/plan/plan-document.ts';
import { Schema, type FieldType } from '../engine/record/schema.ts';
import { derivedSchema, type DerivedColumn } from '../operators/derive/derive.ts';
import { eventTimeColumn, joinFields, type JoinDefinition, type JoinSide } from '../operators/join/join-definition.ts';
import { conditionAt } from './check-window-aggregates.ts';
import type { LatePolicy } from './checked-job.ts';
import type { JoinFields, JoinPart } from './check-join-shape.ts';
import type { InputDefinition, JoinPlan, SelectPlan } from './inputs-plan.ts';
import type { JobFiles } from './job-files.ts';

/** What of a job decides its join, beside `join:` itself. */
export interface JoinContext {
  readonly inputs: readonly InputDefinition[];
  /** Of the records of all inputs, each field under the name of its input. */
  readonly schema: Schema;
  readonly late: LatePolicy;
}

/** Fields that can be part of a key. */
const keyTypes: readonly FieldType[] = ['string', 'long'];

/** Checks a job's join and plans its operator; adds what is wrong to `files` and gives `null`. Called once while a job is loaded, where its inputs are sound. */
export function checkJoin(
  document: PlanDocument,
  part: JoinPart,
  { inputs, schema, late }: JoinContext,
  files: JobFiles,
): JoinPlan | null {
  const { diagnostics } = files;
  const before = diagnostics.length;
  const report = (path: DocumentPath, finding: Finding): void => {
    diagnostics.push(document.atValue(['join', ...path], finding));
  };
  const left = inputNamed(part.left, ['left'], inputs, report);
  const right = inputNamed(part.right, ['right'], inputs, report);
  if (part.left === part.right) {
    const message = `"${part.right}" is joined with itself`;
    const expected = 'another input; the same topic may be read under two names';
    report(['right'], { code: 'NAME_DUPLICATE', message, expected });
  }
  const { before: beforeMs = 0, after: afterMs = 0 } = part.within;
  if (part.within.before === undefined && part.within.after === undefined) {
    const message = '"within" says neither "before" nor "after", and state without a bound would grow for ever';
    report(['within'], { code: 'KEY_MISSING', message, expected: '{ before: 1h, after: 1h }' });
  }
  if (left === null || right === null) return null;
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
    const message = `"${left.name}.${name}" is a ${types[0]}, and "${right.name}.${rightFields[index]}" a ${types[1]}`;
    report(places('right', index), { code: 'TYPE_WRONG', message, expected: `a ${types[0]} on both sides` });
  });
  leftFields.forEach((name, index) => {
    const clash = name === eventTimeColumn || inputs.some((input) => input.name === name);
    if (!clash && leftFields.indexOf(name) === index) return;
    const message = clash ? `a result already has a "${name}" of its own` : `"${name}" is here twice`;
    report(places('left', index), { code: 'NAME_DUPLICATE', message, expected: 'another name' });
  });
  if (inputs.some(({ name }) => name === eventTimeColumn)) {
    report([part.left === eventTimeColumn ? 'left' : 'right'], {
      code: 'NAME_DUPLICATE',
      message: `a result already has an "${eventTimeColumn}" of its own`,
      expected: 'another name',
    });
  }
  if (diagnostics.length > before) return null;
  const side = (input: InputDefinition, fields: readonly string[]): JoinSide => ({
    input: inputs.indexOf(input),
    key: fields.map((name) => `${input.name}.${name}`),
    columns: input.schema.fields.map(({ name }) => `${input.name}.${name}`),
  });
  const definition: JoinDefinition = Object.freeze({
    operatorId: part.id ?? 'join',
    kind: part.kind ?? 'inner',
    left: Object.freeze(side(left, leftFields)),
    right: Object.freeze(side(right, rightFields)),
    key: Object.freeze([...leftFields]),
    beforeMs,
    afterMs,
    allowedLatenessMs: late.allowedLatenessMs,
    delaysMs: Object.freeze(inputs.map(({ source }) => source.eventTime.delayMs)),
  });
  const outputSchema = new Schema(joinFields(definition, schema));
  const place = { document, schema: outputSchema, diagnostics, path: ['join', 'where'] };
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

function inputNamed(
  name: string,
  path: DocumentPath,
  inputs: readonly InputDefinition[],
  report: Report,
): InputDefinition | null {
  const found = inputs.find((input) => input.name === name);
  if (found !== undefined) return found;
  const names = inputs.map((input) => input.name);
  report(path, {
    code: 'NAME_UNKNOWN',
    message: `the job has no input "${name}"`,
    expected: `one of ${names.join(', ')}`,
    nearest: nearestName(name, names),
  });
  return null;
}

function checkKeyField(
  name: string,
  { name: input, schema }: InputDefinition,
  path: DocumentPath,
  report: Report,
): void {
  const type = schema.field(name)?.type;
  if (type !== undefined && keyTypes.includes(type)) return;
  const fitting = schema.fields.filter((field) => keyTypes.includes(field.type)).map((field) => field.name);
  report(path, {
    code: type === undefined ? 'NAME_UNKNOWN' : 'TYPE_WRONG',
    message:
      type === undefined ? `"${input}" has no field "${name}"` : `"${input}.${name}" is a ${type}, which is no key`,
    expected: `one of ${fitting.join(', ')}`,
    nearest: nearestName(name, fitting),
  });
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
