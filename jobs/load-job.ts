import { declaredFeatures } from '../features/declared-feature.ts';
import { compileFeatures } from '../features/compile-features.ts';
import type { FeaturePlan } from '../features/feature-plan.ts';
import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import { inReadingOrder } from '../engine/plan/diagnostic.ts';
import { PlanDocument } from '../engine/plan/plan-document.ts';
import type { SourceTexts } from '../engine/plan/render-diagnostics.ts';
import { checkAmendments } from './check/check-amendments.ts';
import { checkLate, checkOutputMode, checkWindows } from './check/check-windows.ts';
import type { CheckedJob, LatePolicy, TriggerDefinition } from './checked-job.ts';
import { checkOutputs } from './check/check-sinks.ts';
import { checkOnline } from './check/check-online.ts';
import { checkPattern, checkSessions } from './check/check-patterns.ts';
import { checkParts } from './check/check-parts.ts';
import { checkRecords } from './check/check-records.ts';
import { checkScore } from './check/check-score.ts';
import { checkBranches } from './check/check-branches.ts';
import { checkEnriched } from './check/check-enrich.ts';
import { checkInputKeys, checkInputs, inputTopics } from './check/check-inputs.ts';
import { checkOneOf } from './check/check-one-of.ts';
import { checkSource, type CheckedSource } from './check/check-source.ts';
import { jobDigest } from './job-digest.ts';
import { JobFiles } from './job-files.ts';
import { jobParts, type JobParts } from './job-file.ts';
import { resultSchemaOf } from './result-schema.ts';
import { isSinkJob } from './sink-job.ts';

const defaultFlushEveryMs = 1_000;

/** A job, or all that is wrong with its files. */
export type JobOutcome =
  | { readonly ok: true; readonly job: CheckedJob }
  | {
      readonly ok: false;
      /** In reading order; never empty. */
      readonly diagnostics: readonly Diagnostic[];
      /** The texts that they point into. */
      readonly sources: SourceTexts;
    };

/**
 * Reads a job file and everything that it names, checks all of it, and gives the job or everything that is wrong, so that a person mends it in one go. The
 * one way in which every command gets a job. Reads files and changes nothing; models, topics and services are looked at when a run is opened.
 *
 * @param path the job file's; other files are shown relative to it.
 */
export async function loadJob(path: string): Promise<JobOutcome> {
  const files = new JobFiles(path);
  const job = await checkJob(path, files);
  if (job !== null && files.diagnostics.length === 0) return { ok: true, job };
  return { ok: false, diagnostics: inReadingOrder(files.diagnostics), sources: files.sources };
}

async function checkJob(path: string, files: JobFiles): Promise<CheckedJob | null> {
  const document = await files.readJob();
  if (document === null) return null;
  files.diagnostics.push(...document.diagnostics);
  if (document.diagnostics.length > 0) return null;
  if (isSinkJob(document)) {
    const message = 'this is a sink job, which copies topics and computes nothing';
    const expected = `a job with a source; this one is run by \`sluice sink ${path}\``;
    files.diagnostics.push(document.atKey(['copy'], { code: 'JOB_IS_SINK', message, expected }));
    return null;
  }
  const parts = checkParts(document, [], jobParts, files.diagnostics);
  if (parts === null) return null;
  const origins = checkOneOf(document, [], ['source', 'sources'], 'where records come from', files.diagnostics);
  checkInputKeys(document, parts, files);
  const late = checkLate(document, parts, `${parts.job ?? 'job'}-late`, files);
  const source =
    origins === 'sources'
      ? await checkInputs(document, parts, late, files)
      : origins === null || parts.source === undefined
        ? noSource
        : await checkEnriched(document, parts, await checkSource(document, files), late, files);
  const outputMode = checkOutputMode(document, parts, files);
  const records = checkRecords(document, parts, source, files);
  const shaped = records === null ? source : { ...source, schema: records.outputSchema };
  const sessions = checkSessions(document, parts, shaped, files);
  const seen = sessions === null ? shaped : { ...source, schema: sessions.outputSchema };
  const features = await checkFeatures(document, parts, { ...seen, late }, files);
  const windows = checkWindows(document, parts, { source: seen, outputMode, late }, files);
  const pattern = checkPattern(document, parts, seen, files);
  const amendments = checkAmendments(document, parts, { source: source.definition, features }, files);
  const score = checkScore(document, parts.score, files);
  const topics = { inputTopics: inputTopics(source.definition), lateTopic: late.topic };
  const { sinks, deadLetters } = checkOutputs(document, parts, topics, files);
  if (features !== null) {
    checkBranches(document, parts.sinks ?? [], resultSchemaOf({ windows, pattern, features, score }), files);
  }
  const online = checkOnline(document, parts.state?.online, features, files.diagnostics);
  const { definition, schema, origin } = source;
  if (files.diagnostics.length > 0 || definition === null || schema === null || origin === null || features === null) {
    return null;
  }
  return frozen({
    file: path,
    name: parts.job ?? '',
    app: parts.app ?? 'sluice',
    source: definition,
    schema,
    records,
    sessions,
    features,
    windows,
    pattern,
    amendments,
    outputMode,
    trigger: triggerOf(parts),
    score,
    sinks,
    deadLetters,
    late,
    state: { flushEveryMs: parts.state?.flushEvery ?? defaultFlushEveryMs, online },
    exchange: { partitions: parts.exchange?.partitions ?? null },
    guarantee: 'exactly-once',
    digest: jobDigest({
      origin,
      source: definition,
      schema,
      late,
      records,
      sessions,
      features,
      windows,
      pattern,
      amendments,
    }),
  });
}

function triggerOf({ trigger = 'realtime', maxOffsetsPerTrigger }: Partial<JobParts>): TriggerDefinition {
  const isTimed = typeof trigger === 'object';
  return Object.freeze({
    kind: isTimed ? 'processingTime' : trigger,
    everyMs: isTimed ? trigger.processingTime : 0,
    // As Spark has it: once takes all that is there.
    maxOffsetsPerTrigger: trigger === 'once' ? null : (maxOffsetsPerTrigger ?? null),
  });
}

const noSource: CheckedSource = { definition: null, schema: null, eventTimeField: null, origin: null };

/** Reads and plans the job's features. Without a schema only their form can be checked. */
async function checkFeatures(
  document: PlanDocument,
  { features = [] }: Partial<JobParts>,
  { schema, eventTimeField, late }: CheckedSource & { readonly late: LatePolicy },
  files: JobFiles,
): Promise<FeaturePlan | null> {
  const documents: PlanDocument[] = [];
  const names = features === 'none' ? [] : features;
  for (const [index, name] of names.entries()) {
    const place = ['features', index];
    if (names.indexOf(name) < index) {
      const message = `"${name}" is here twice`;
      files.diagnostics.push(document.atValue(place, { code: 'NAME_DUPLICATE', message }));
      continue;
    }
    const read = await files.readNamed(document, place, name, { folder: 'features', extension: '.yaml' });
    if (read !== null) documents.push(new PlanDocument(read.file, read.text));
  }
  if (schema === null) {
    for (const declarations of documents) declaredFeatures(declarations, files.diagnostics);
    return null;
  }
  const context = { schema, eventTimeField: eventTimeField ?? '', allowedLatenessMs: late.allowedLatenessMs };
  const { plan, diagnostics } = compileFeatures(documents, context);
  files.diagnostics.push(...(diagnostics ?? []));
  return plan;
}

/** Freezes the job and the plain mappings and lists in it. The plan and the schema are frozen by those who make them. */
function frozen(job: CheckedJob): CheckedJob {
  const { source, score, sinks, deadLetters, late, state, exchange } = job;
  for (const part of [
    source.eventTime,
    source.duplicates,
    source.rules,
    source,
    score,
    ...sinks,
    sinks,
    deadLetters,
    late,
    state,
    exchange,
  ]) {
    Object.freeze(part);
  }
  return Object.freeze(job);
}
