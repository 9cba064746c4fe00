import { formatDuration } from '../../engine/time/duration.ts';
import type { DocumentPath, Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { FeatureStep } from '../../features/feature-plan.ts';
import { derivedSchema } from '../../operators/derive/derive.ts';
import { judgeOutputMode, type OutputMode, type ResultKind } from '../../operators/window/output-modes.ts';
import { windowFields, type WindowDefinition, type WindowKind } from '../../operators/window/window-definition.ts';
import { checkKeyFields } from './check-key-fields.ts';
import { checkOneOf } from './check-one-of.ts';
import { checkWindowAggregates, columnFor, conditionAt, type ArgumentColumns } from './check-window-aggregates.ts';
import { windowKinds, type WindowsPart } from './check-window-shape.ts';
import type { LatePolicy } from '../checked-job.ts';
import type { CheckedSource } from './check-source.ts';
import { mixesInputs, mixesPartitions } from './input-order.ts';
import type { InputsPlan } from '../plan/inputs-plan.ts';
import type { JobFiles } from '../job-files.ts';
import type { JobParts } from '../job-file.ts';
import type { WindowPlan } from '../plan/window-plan.ts';

/** What of a job decides its windows, beside `windows:` itself. */
export interface WindowContext {
  readonly source: CheckedSource;
  readonly outputMode: OutputMode;
  readonly late: LatePolicy;
}

/**
 * Checks what a job says of late records, for jobs with and without windows.
 *
 * @param topic where late records go by default.
 */
export function checkLate(
  document: PlanDocument,
  { late, windows, join }: Partial<JobParts>,
  topic: string,
  files: JobFiles,
): LatePolicy {
  const allowedLatenessMs = late?.allowedLateness ?? 0;
  // What waits for partners, or for a window's end, waits only so long.
  const waits = windows !== undefined || join !== undefined;
  const policy = late?.policy ?? (waits ? 'route' : 'answer');
  const report = (path: DocumentPath, finding: Omit<Finding, 'code'>): void => {
    files.diagnostics.push(document.atValue(path, { code: 'VALUE_WRONG', ...finding }));
  };
  if (!waits && policy !== 'answer') {
    const message = `"${policy}" is for windows and joins: a job that answers each record answers late ones too`;
    report(['late', 'policy'], { message, expected: 'answer' });
  }
  if (waits && policy === 'answer') {
    const message =
      join === undefined
        ? '"answer" is for jobs that answer each record: a window that is over has no place for a late one'
        : '"answer" is for jobs that answer each record: the partners of a late one may be gone';
    const expected = join === undefined ? 'one of route, update, drop' : 'route or drop';
    report(['late', 'policy'], { message, expected });
  }
  if (join !== undefined && policy === 'update') {
    const message = '"update" lets a window fire again, and what has gone through a join is not taken back';
    report(['late', 'policy'], { message, expected: 'route or drop' });
  }
  if (windows !== undefined && policy === 'update' && allowedLatenessMs === 0) {
    const message = '"update" lets a window fire again while it is kept, and "allowedLateness" keeps none';
    report(['late', 'policy'], { message, expected: 'allowedLateness: with a duration beside it' });
  }
  const routes = waits && (policy === 'route' || policy === 'update');
  if (!routes && late?.topic !== undefined) {
    report(['late', 'topic'], {
      message: `no record is sent there with the policy "${policy}"`,
      expected: 'no "topic"',
    });
  }
  const known = policy === 'route' || policy === 'update' || policy === 'drop' ? policy : 'answer';
  return { allowedLatenessMs, policy: known, topic: routes ? (late?.topic ?? topic) : null };
}

/** Checks that the results of a job can be published in its output mode. */
export function checkOutputMode(
  document: PlanDocument,
  { outputMode, windows }: Partial<JobParts>,
  files: JobFiles,
): OutputMode {
  const mode = outputMode ?? 'append';
  const verdict = judgeOutputMode(windows === undefined ? 'records' : resultKind(windows), mode);
  if (verdict !== 'ok') files.diagnostics.push(document.atValue(['outputMode'], { code: 'VALUE_WRONG', ...verdict }));
  return mode;
}

function resultKind({ session, count }: WindowsPart): ResultKind {
  if (session !== undefined) return 'sessionWindows';
  return count === undefined ? 'timeWindows' : 'countWindows';
}

/** Checks a job's windows and plans their operator; adds what is wrong to `files` and gives `null`. Called once while a job is loaded, where it has windows. */
export function checkWindows(
  document: PlanDocument,
  { windows, features, score }: Partial<JobParts>,
  { source, outputMode, late }: WindowContext,
  files: JobFiles,
): WindowPlan | null {
  const { diagnostics } = files;
  if (windows === undefined) return null;
  const before = diagnostics.length;
  const report = (path: DocumentPath, finding: Finding): void => void diagnostics.push(document.atValue(path, finding));
  if (features !== undefined && features !== 'none') {
    const message = 'a job has features, which answer each record, or windows, which answer when they close';
    report(['features'], { code: 'VALUE_WRONG', message, expected: 'none' });
  }
  if (score !== undefined) {
    const message = 'results of windows are not scored';
    diagnostics.push(document.atKey(['score'], { code: 'VALUE_WRONG', message, expected: 'no "score"' }));
  }
  const window = checkKind(document, windows, files);
  if (window?.kind === 'session' && late.policy === 'update') {
    const message = '"update" would publish a session again as another, longer one, and leave the first standing';
    report(['late', 'policy'], { code: 'VALUE_WRONG', message, expected: 'route or drop' });
  }
  const { schema, definition: origin } = source;
  if (schema === null) return null;
  const key = windows.key === undefined ? [] : checkKeyFields(document, ['windows', 'key'], windows.key, schema, files);
  const derived: ArgumentColumns = new Map();
  const place = { document, schema, diagnostics };
  const path = ['windows', 'where'];
  const where = windows.where === undefined ? null : conditionAt(windows.where, { ...place, path });
  const whereColumn = where === null ? null : columnFor(where, derived);
  const under = { ...place, path: ['windows', 'aggregates'] };
  const aggregates = checkWindowAggregates(windows.aggregates, key, under, derived);
  const columns = [...derived].map(([name, expression]) => ({ name, expression }));
  if (window === null || origin === null) return null;
  const inputSchema = derivedSchema(columns, schema);
  const outputSchema = resultsOf(key, aggregates, inputSchema);
  const having =
    windows.having === undefined || outputSchema === null
      ? null
      : conditionAt(windows.having, { ...place, schema: outputSchema, path: ['windows', 'having'] });
  if (diagnostics.length > before || outputSchema === null) return null;
  // Only a topic has several partitions; a table of all results has one watermark.
  const comesFromOne = !mixesPartitions(origin) || (!mixesInputs(origin) && key.includes(origin.key));
  const isJoined = origin.kind === 'inputs' && origin.plan.join !== null;
  const definition: WindowDefinition = Object.freeze({
    operatorId: windows.id ?? 'windows',
    key: Object.freeze(key),
    window: Object.freeze(window),
    where: whereColumn,
    aggregates: Object.freeze(aggregates),
    outputMode,
    allowedLatenessMs: late.allowedLatenessMs,
    lateness: late.policy === 'update' ? 'fire' : 'wait',
    // What comes out of a join says itself how far the watermark is.
    delayMs: isJoined ? Infinity : origin.eventTime.delayMs,
    closedBy: comesFromOne && outputMode !== 'complete' ? 'partition' : 'query',
    ...(mixesInputs(origin) && !isJoined ? { inputDelaysMs: delaysOf(origin.plan) } : {}),
  });
  const step: FeatureStep = Object.freeze({ kind: 'derive', columns: Object.freeze(columns), output: inputSchema });
  const steps = Object.freeze(columns.length === 0 ? [] : [step]);
  return Object.freeze({ steps, inputSchema, definition, outputSchema, having });
}

/** How far each input's watermark is behind. */
function delaysOf({ inputs }: InputsPlan): readonly number[] {
  return Object.freeze(inputs.map(({ source }) => source.eventTime.delayMs));
}

/** The results' schema; `null` where names meet, which was said. */
function resultsOf(key: readonly string[], aggregates: WindowDefinition['aggregates'], schema: Schema): Schema | null {
  const fields = windowFields({ key, aggregates }, schema);
  return new Set(fields.map(({ name }) => name)).size === fields.length ? new Schema(fields) : null;
}

function checkKind(document: PlanDocument, windows: WindowsPart, { diagnostics }: JobFiles): WindowKind | null {
  const kind = checkOneOf(document, ['windows'], windowKinds, 'which windows there are', diagnostics);
  const { tumbling, hopping, session, count, startTime } = windows;
  if (startTime !== undefined && (kind === 'session' || kind === 'count')) {
    const message = `"startTime" means nothing to "${kind}"`;
    diagnostics.push(
      document.atKey(['windows', 'startTime'], { code: 'VALUE_WRONG', message, expected: 'no "startTime"' }),
    );
  }
  const startMs = startTime ?? 0;
  if (kind === 'tumbling' && tumbling !== undefined) return { kind, sizeMs: tumbling, startMs };
  if (kind === 'session' && session !== undefined) return { kind, gapMs: session.gap };
  if (kind === 'count' && count !== undefined) return { kind, size: count };
  if (kind !== 'hopping' || hopping === undefined) return null;
  const { size, every } = hopping;
  const steps = size / every;
  if (steps >= 1 && steps <= 1_000) return { kind, sizeMs: size, everyMs: every, startMs };
  const message =
    steps < 1
      ? 'windows that start less often than they are long leave records in none'
      : 'a record would be in more than 1000 windows';
  const expected =
    steps < 1 ? `at most ${formatDuration(size)}` : `at least ${formatDuration(Math.ceil(size / 1_000))}`;
  diagnostics.push(document.atValue(['windows', 'hopping', 'every'], { code: 'VALUE_WRONG', message, expected }));
  return null;
}
