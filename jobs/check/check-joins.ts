import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { eventTimeColumn, inputColumn } from '../../operators/join/join-definition.ts';
import { checkOneJoin, type SideContext } from './check-join.ts';
import type { JoinPart } from './check-join-shape.ts';
import type { LatePolicy } from '../checked-job.ts';
import type { InputDefinition, JoinPlan, OneJoinPlan } from '../plan/inputs-plan.ts';
import type { JobFiles } from '../job-files.ts';

/** What of a job decides its joins, beside `join:` itself. */
export interface JoinContext {
  readonly inputs: readonly InputDefinition[];
  /** Of the records of all inputs, each field under the name of its input. */
  readonly schema: Schema;
  readonly late: LatePolicy;
}

/**
 * Checks a job's joins and plans their operators: one of two inputs, or a chain, in which what comes out of each is the left side of the next. Adds what is wrong to `files` and gives `null`. Called
 * once while a job is loaded, where its inputs are sound.
 */
export function checkJoins(
  document: PlanDocument,
  part: JoinPart | readonly JoinPart[],
  context: JoinContext,
  files: JobFiles,
): JoinPlan | null {
  const isList = Array.isArray(part);
  const parts: readonly JoinPart[] = isList ? (part as readonly JoinPart[]) : [part as JoinPart];
  const placeOf = (index: number): DocumentPath => (isList ? ['join', index] : ['join']);
  const order = orderOf(document, parts, placeOf, context, files);
  if (order === null) return null;
  const isChain = parts.length > 1;
  const plans: OneJoinPlan[] = [];
  for (const [index, one] of parts.entries()) {
    const [first, right] = [order[0], order[index + 1]];
    if (first === undefined || right === undefined) return null;
    const before = plans.at(-1) ?? null;
    const schema = isChain ? schemaOfSides(before?.outputSchema ?? ownSchema(first), right) : context.schema;
    const numbers = isChain
      ? ([0, 1] as const)
      : ([context.inputs.indexOf(first), context.inputs.indexOf(right)] as const);
    const planned = checkOneJoin(
      document,
      one,
      {
        at: placeOf(index),
        id: index === 0 ? 'join' : `join-${index + 1}`,
        left: before === null ? sideOf(first, numbers[0]) : joinedSide(before, order.slice(0, index + 1)),
        right: sideOf(right, numbers[1]),
        schema,
        late: context.late,
        delaysMs: isChain
          ? [before === null ? first.source.eventTime.delayMs : Infinity, right.source.eventTime.delayMs]
          : context.inputs.map(({ source }) => source.eventTime.delayMs),
        taken: context.inputs.map(({ name }) => name),
      },
      files,
    );
    if (planned === null) return null;
    if (plans.some(({ definition }) => definition.operatorId === planned.definition.operatorId)) {
      const message = `"${planned.definition.operatorId}" is another join's state, too`;
      files.diagnostics.push(
        document.atValue([...placeOf(index), 'id'], { code: 'NAME_DUPLICATE', message, expected: 'another "id"' }),
      );
      return null;
    }
    plans.push(planned);
  }
  const last = plans.at(-1);
  if (last === undefined) return null;
  return Object.freeze({ ...last, before: Object.freeze(plans.slice(0, -1)), order: order.map(({ name }) => name) });
}

/** The inputs in the order in which they are joined: each of the job's once. */
function orderOf(
  document: PlanDocument,
  parts: readonly JoinPart[],
  placeOf: (index: number) => DocumentPath,
  { inputs }: JoinContext,
  { diagnostics }: JobFiles,
): readonly InputDefinition[] | null {
  const before = diagnostics.length;
  const names = inputs.map((input) => input.name);
  const order: InputDefinition[] = [];
  parts.forEach((part, index) => {
    for (const side of ['left', 'right'] as const) {
      const name = part[side];
      if (name === undefined) continue;
      const path = [...placeOf(index), side];
      const found = inputs.find((input) => input.name === name);
      if (found === undefined) {
        const message = `the job has no input "${name}"`;
        const expected = `one of ${names.join(', ')}`;
        diagnostics.push(
          document.atValue(path, { code: 'NAME_UNKNOWN', message, expected, nearest: nearestName(name, names) }),
        );
      } else if (order.includes(found)) {
        const message = parts.length === 1 ? `"${name}" is joined with itself` : `"${name}" is joined twice`;
        const expected = 'another input; the same topic may be read under two names';
        diagnostics.push(document.atValue(path, { code: 'NAME_DUPLICATE', message, expected }));
      } else order.push(found);
    }
  });
  if (diagnostics.length > before) return null;
  for (const input of inputs) {
    if (input.name === eventTimeColumn) {
      const message = `a result already has an "${eventTimeColumn}" of its own`;
      diagnostics.push(
        document.atKey(['sources', input.name], { code: 'NAME_DUPLICATE', message, expected: 'another name' }),
      );
    }
    if (order.includes(input)) continue;
    const message = `"${input.name}" is read for nothing: no "join" has it`;
    diagnostics.push(
      document.atKey(['sources', input.name], {
        code: 'VALUE_WRONG',
        message,
        expected: `an item of "join" with "right: ${input.name}"`,
      }),
    );
  }
  return diagnostics.length > before ? null : order;
}

function sideOf({ name, schema }: InputDefinition, input: number): SideContext {
  const columnOf = (field: string): string => `${name}.${field}`;
  return { name, schema, input, columnOf, columns: schema.fields.map((field) => columnOf(field.name)) };
}

/** What was joined before, as the left side of the next join: keyed by what it is keyed by itself, or by a field of any of its inputs. */
function joinedSide({ outputSchema }: OneJoinPlan, inputs: readonly InputDefinition[]): SideContext {
  const fields = outputSchema.fields.filter(({ name }) => name !== eventTimeColumn);
  return {
    name: inputs.map(({ name }) => name).join(' and '),
    schema: new Schema(fields),
    input: 0,
    columnOf: (field) => field,
    columns: fields.flatMap(({ name }) => (name.includes('.') ? [name] : [])),
  };
}

/** Of the rows of both sides of a join in a chain. */
function schemaOfSides(left: Schema, right: InputDefinition): Schema {
  return new Schema([
    { name: inputColumn, type: 'long', presence: 'required' },
    ...left.fields,
    ...ownSchema(right).fields,
  ]);
}

function ownSchema({ name, schema }: InputDefinition): Schema {
  return new Schema(schema.fields.map((field): Field => ({ ...field, name: `${name}.${field.name}` })));
}
