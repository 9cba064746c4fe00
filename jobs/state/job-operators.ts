import { createHash } from 'node:crypto';
import type { Schema } from '../../engine/record/schema.ts';
import type { StateDescriber } from '../../engine/state/state-describer.ts';
import { describeAmend } from '../../operators/amend/describe-amend.ts';
import { describeDedupe } from '../../operators/dedupe/describe-dedupe.ts';
import { describeEnrich } from '../../operators/enrich/describe-enrich.ts';
import { describeArrivals } from '../../operators/flow/arrival-numbers.ts';
import { describeJoin } from '../../operators/join/describe-join.ts';
import { describeRolling } from '../../operators/rolling/describe-rolling.ts';
import type { RollingDefinition } from '../../operators/rolling/rolling-definition.ts';
import { describeWindows } from '../../operators/window/describe-windows.ts';
import { describePattern } from '../../operators/pattern/describe-pattern.ts';
import { expressionRules } from '../../operators/pattern/expression-rules.ts';
import { describeSessions } from '../../operators/sessionise/describe-sessions.ts';
import { sessionFields } from '../../operators/sessionise/session-logic.ts';
import type { FeaturePlan } from '../../features/feature-plan.ts';
import type { AmendPlan } from '../plan/amend-plan.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { InputsPlan } from '../plan/inputs-plan.ts';

/** An operator of a job that keeps state. */
export interface JobOperator {
  readonly describer: StateDescriber;
  /** The records that it is given. */
  readonly inputSchema: Schema;
  /**
   * How far behind the watermark the records lie that its state depends on, through the operators before it, too; `null` where it depends on all of them.
   */
  readonly reachMs: number | null;
}

/** What is known of a column while the steps of a job are gone through. */
interface ColumnTrace {
  /** Says what its values are, down to the fields of the record. */
  readonly meaning: string;
  readonly reachMs: number;
}

/**
 * The operators of a job that keep state, in the order in which records go through them. What `sluice state`, savepoints and `plan --diff` know of them: an operator
 * that is new joins here with a line.
 */
export function jobOperators(job: CheckedJob): readonly JobOperator[] {
  return traced(job).operators;
}

/** What the columns of a job hold, by name, down to the fields of its records; compared as text. */
export function columnMeanings(job: CheckedJob): ReadonlyMap<string, string> {
  return new Map([...traced(job).traces].map(([name, { meaning }]) => [name, meaning]));
}

function traced(job: CheckedJob): {
  readonly operators: readonly JobOperator[];
  readonly traces: ReadonlyMap<string, ColumnTrace>;
} {
  const { source, features, windows } = job;
  const operators: JobOperator[] = [];
  const traces = new Map<string, ColumnTrace>();
  // What is joined, or looked up, may have come long before the record that brings it out.
  const ownReachMs = source.kind === 'inputs' && (source.plan.join ?? source.plan.enriched) !== null ? Infinity : 0;
  for (const { name, type } of job.schema.fields) traces.set(name, { meaning: `${name} ${type}`, reachMs: ownReachMs });
  const traceOf = (names: readonly (string | null)[]): ColumnTrace => {
    const known = names.flatMap((name) => traces.get(name ?? '') ?? []);
    const meaning = hashOf(known.map((trace) => trace.meaning));
    return { meaning, reachMs: Math.max(0, ...known.map(({ reachMs }) => reachMs)) };
  };
  let schema = features.inputSchema;
  let duplicatesMs = 0;
  if (source.duplicates !== null) {
    const { by, withinMs } = source.duplicates;
    duplicatesMs = withinMs;
    const describer = describeDedupe({ operatorId: 'duplicates', by: [by], withinMs });
    operators.push({ describer, inputSchema: schema, reachMs: withinMs === Infinity ? null : withinMs });
  }
  if (source.kind === 'inputs') {
    operators.push(...inputOperators(source.plan));
    duplicatesMs = Math.max(0, ...source.plan.inputs.map((input) => input.source.duplicates?.withinMs ?? 0));
  }
  if (job.sessions !== null) {
    const { definition, outputSchema } = job.sessions;
    operators.push({ describer: describeSessions(definition), inputSchema: job.schema, reachMs: null });
    // Numbered from the key's first record on: a rolling operator behind them depends on all records.
    const meaning = hashOf(['sessions', Object.entries(definition)]);
    for (const { name } of sessionFields) traces.set(name, { meaning: hashOf([name, meaning]), reachMs: Infinity });
    schema = outputSchema;
  }
  for (const step of windows?.steps ?? features.steps) {
    if (step.kind === 'derive') {
      for (const { name, expression } of step.columns) {
        const { meaning, reachMs } = traceOf(expression.reads);
        traces.set(name, { meaning: hashOf([expression.canonical, meaning]), reachMs });
      }
    } else if (step.kind === 'rolling') {
      const { definition } = step;
      const read = traceOf(columnsOf(definition));
      const describer = describeRolling(definition, schema, read.meaning);
      const { panes } = definition;
      // Panes are kept whole.
      const reachMs = read.reachMs + (describer.keepsMs ?? 0) + (panes?.sizeMs ?? 0);
      operators.push({ describer, inputSchema: schema, reachMs: reachMs + duplicatesMs });
      for (const aggregate of definition.aggregates) {
        const { meaning } = traceOf([aggregate.input, aggregate.where]);
        const trace = {
          meaning: hashOf([definition.key, aggregate, meaning, ...(panes === undefined ? [] : [panes])]),
          reachMs,
        };
        const names = aggregate.n === null ? [aggregate.name] : nth(aggregate.name, aggregate.n);
        for (const name of names) traces.set(name, trace);
      }
    }
    schema = step.output;
  }
  if (windows !== null) {
    const { definition, inputSchema } = windows;
    const inputs = definition.aggregates.flatMap(({ input, where }) => [input, where]);
    const describer = describeWindows(definition, traceOf([...inputs, definition.where]).meaning);
    operators.push({ describer, inputSchema, reachMs: null });
  }
  if (job.pattern !== null) {
    const { definition, rules, inputSchema } = job.pattern;
    const meaning = hashOf([rules.first.canonical, traceOf(rules.first.reads).meaning]);
    const describer = describePattern(definition, expressionRules(rules, inputSchema).carried, meaning);
    operators.push({ describer, inputSchema, reachMs: null });
  }
  if (job.amendments !== null) {
    const { meaning } = traceOf(job.amendments.definition.features);
    operators.push(amendOperator(job.amendments, features, meaning, operators));
  }
  return { operators, traces };
}

/** What is kept of decisions: it depends on all that their features do, from where the oldest of them is kept. */
function amendOperator(
  { definition }: AmendPlan,
  { inputSchema }: FeaturePlan,
  meaning: string,
  before: readonly JobOperator[],
): JobOperator {
  const describer = describeAmend(definition, inputSchema, meaning);
  const reaches = before.map(({ reachMs }) => reachMs ?? Infinity);
  return { describer, inputSchema, reachMs: (describer.keepsMs ?? 0) + Math.max(0, ...reaches) };
}

/** What a job of several inputs keeps of them. */
function inputOperators({ inputs, schema, join, enriched, duplicates: columns }: InputsPlan): readonly JobOperator[] {
  const duplicates = inputs.flatMap(({ name, source: { duplicates: own } }, index): JobOperator[] => {
    const column = columns[index] ?? null;
    if (own === null || column === null) return [];
    const { withinMs } = own;
    const describer = describeDedupe({ operatorId: `duplicates-${name}`, by: [column], withinMs });
    return [{ describer, inputSchema: schema, reachMs: withinMs }];
  });
  if (enriched !== null) {
    const tables = enriched.definitions.map((definition) => describeEnrich(definition));
    return [...duplicates, ...tables.map((describer) => ({ describer, inputSchema: schema, reachMs: null }))];
  }
  if (join === null) return duplicates;
  const joins = [...join.before, join].flatMap(({ definition }, index) => {
    // The results of all but the last are numbered, for the next to tell them apart.
    const arrivals = index < join.before.length ? [describeArrivals(definition.operatorId)] : [];
    return [describeJoin(definition), ...arrivals];
  });
  return [...duplicates, ...joins.map((describer) => ({ describer, inputSchema: schema, reachMs: null }))];
}

function columnsOf({ key, aggregates }: RollingDefinition): readonly (string | null)[] {
  return [...new Set([...key, ...aggregates.flatMap(({ input, where }) => [input, where])])].toSorted((a, b) => {
    return (a ?? '') < (b ?? '') ? -1 : 1;
  });
}

function nth(name: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${name}_${index + 1}`);
}

function hashOf(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}
