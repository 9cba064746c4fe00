import { compileExpression, tryCompileExpression } from '../../engine/expression/compile-expression.ts';
import type { Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { formatDuration } from '../../engine/time/duration.ts';
import { firstPrefix, pairSchema, type ExpressionRules } from '../../operators/pattern/expression-rules.ts';
import { sessionFields } from '../../operators/sessionise/session-logic.ts';
import { checkKeyFields } from './check-key-fields.ts';
import { conditionAt } from './check-window-aggregates.ts';
import type { SourceDefinition } from '../checked-job.ts';
import type { CheckedSource } from './check-source.ts';
import { mixesInputs, mixesPartitions } from './input-order.ts';
import type { JobFiles } from '../job-files.ts';
import type { JobParts } from '../job-file.ts';
import type { PatternPlan, SessionsPlan } from '../plan/pattern-plan.ts';

const defaultForgetMs = 30 * 86_400_000;

/** Checks a job's sessions and plans their operator; adds what is wrong to `files` and gives `null`. Called once while a job is loaded, before what sees their columns. */
export function checkSessions(
  document: PlanDocument,
  { sessions }: Partial<JobParts>,
  { schema, definition: origin }: CheckedSource,
  files: JobFiles,
): SessionsPlan | null {
  if (sessions === undefined || schema === null || origin === null) return null;
  const { diagnostics } = files;
  const before = diagnostics.length;
  const key = checkKeyFields(document, ['sessions', 'key'], sessions.key, schema, files);
  const { gap: gapMs, forget: forgetMs = Math.max(defaultForgetMs, gapMs) } = sessions;
  if (forgetMs < gapMs) {
    const message = 'a key would be forgotten while its session may go on';
    const expected = `at least ${formatDuration(gapMs)}`;
    diagnostics.push(document.atValue(['sessions', 'forget'], { code: 'VALUE_WRONG', message, expected }));
  }
  for (const { name } of sessionFields) {
    if (schema.indexOf(name) < 0) continue;
    const message = `the record has a field "${name}" itself, which sessions add`;
    diagnostics.push(document.atKey(['sessions'], { code: 'NAME_DUPLICATE', message, expected: 'no "sessions"' }));
  }
  if (diagnostics.length > before) return null;
  const definition = Object.freeze({
    operatorId: sessions.id ?? 'sessions',
    key: Object.freeze(key),
    gapMs,
    forgetMs,
    ...delaysOf(origin),
    closedBy: comesFromOne(origin, key) ? ('partition' as const) : ('query' as const),
  });
  return Object.freeze({ definition, outputSchema: schema.with(...sessionFields) });
}

/**
 * Checks a job's pattern and plans its operator; adds what is wrong to `files` and gives `null`. Called once while a job is loaded.
 *
 * @param source what the operator is given: the source's records, with their sessions where there are some.
 */
export function checkPattern(
  document: PlanDocument,
  { pattern, windows, features, score }: Partial<JobParts>,
  { schema, definition: origin }: CheckedSource,
  files: JobFiles,
): PatternPlan | null {
  if (pattern === undefined) return null;
  const { diagnostics } = files;
  const before = diagnostics.length;
  const report = (key: string, finding: Omit<Finding, 'code'>): void => {
    diagnostics.push(document.atKey([key], { code: 'VALUE_WRONG', ...finding }));
  };
  if (features !== undefined && features !== 'none') {
    const message = 'a job has features, which answer each record, or a pattern, which answers where it is met';
    report('features', { message, expected: 'none' });
  }
  if (windows !== undefined) report('windows', { message: 'a job has windows, or a pattern', expected: 'one of them' });
  if (score !== undefined) report('score', { message: 'results of a pattern are not scored', expected: 'no "score"' });
  if (schema === null || origin === null) return null;
  const key = checkKeyFields(document, ['pattern', 'key'], pattern.key, schema, files);
  const nested = schema.fields.find(({ name }) => name.startsWith(firstPrefix));
  if (nested !== undefined) {
    const message = `the record has a field "${nested.name}" itself, which is what a field of the first record is called`;
    report('pattern', { message, expected: `fields that do not begin with "${firstPrefix}"` });
  }
  const pairs = pairSchema(schema);
  const place = { document, diagnostics };
  const first = conditionAt(pattern.first, { ...place, schema, path: ['pattern', 'first'] });
  const followedBy = conditionAt(pattern.followedBy, { ...place, schema: pairs, path: ['pattern', 'followedBy'] });
  const select = selectedOf(document, pattern.select, key, pairs, files);
  if (diagnostics.length > before || first === null || followedBy === null) return null;
  const outputs = select.map(({ name, expression: { type } }): Field => ({ name, type, presence: 'optional' }));
  const definition = Object.freeze({
    operatorId: pattern.id ?? 'pattern',
    key: Object.freeze(key),
    withinMs: pattern.within,
    ...delaysOf(origin),
    closedBy: comesFromOne(origin, key) ? ('partition' as const) : ('query' as const),
    errors: 'fail' as const,
  });
  return Object.freeze({
    definition,
    rules: Object.freeze({ first, followedBy, select }),
    inputSchema: schema,
    outputSchema: new Schema(outputs),
  });
}

/** The key's fields, then what is selected. */
function selectedOf(
  document: PlanDocument,
  select: Readonly<Record<string, string>>,
  key: readonly string[],
  pairs: Schema,
  { diagnostics }: JobFiles,
): ExpressionRules['select'] {
  const keys = key.flatMap((name) =>
    pairs.indexOf(name) < 0 ? [] : [{ name, expression: compileExpression(name, pairs) }],
  );
  const chosen = Object.entries(select).flatMap(([name, text]) => {
    const path = ['pattern', 'select', name];
    if (key.includes(name)) {
      const message = `a result already has a field "${name}": its key`;
      diagnostics.push(document.atKey(path, { code: 'NAME_DUPLICATE', message, expected: 'another name' }));
    } else if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
      const message = `"${name}" cannot be the name of a column`;
      const expected = 'a letter, then letters, digits and _';
      diagnostics.push(document.atKey(path, { code: 'VALUE_WRONG', message, expected }));
    }
    const outcome = tryCompileExpression(text, pairs);
    if (outcome.problems === null) return [{ name, expression: outcome.expression }];
    for (const { span, message, expected, nearest } of outcome.problems) {
      diagnostics.push(document.atPartOfValue(path, span, { code: 'EXPRESSION_INVALID', message, expected, nearest }));
    }
    return [];
  });
  return [...keys, ...chosen];
}

/** Only a topic has several partitions; a file is read from its beginning to its end. What comes out of a join has the watermark of all its inputs, and records of several inputs go by the least of theirs. */
function comesFromOne(origin: SourceDefinition, key: readonly string[]): boolean {
  return !mixesPartitions(origin) || (!mixesInputs(origin) && key.includes(origin.key));
}

/** How far the watermark is behind the newest record: of each input of a union; what comes out of a join says itself where it is. */
function delaysOf(origin: SourceDefinition): { readonly delayMs: number; readonly inputDelaysMs?: readonly number[] } {
  const { delayMs } = origin.eventTime;
  if (!mixesInputs(origin)) return { delayMs };
  const { join, inputs } = origin.plan;
  if (join !== null) return { delayMs: Infinity };
  return { delayMs, inputDelaysMs: Object.freeze(inputs.map(({ source }) => source.eventTime.delayMs)) };
}
