import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import type { DocumentPath, Finding, PlanDocument } from '../../engine/plan/plan-document.ts';
import type { DeadLetterPolicy, SinkDefinition } from '../checked-job.ts';
import { checkOneOf } from './check-one-of.ts';
import { checkTopic } from './check-topic.ts';
import type { JobFiles } from '../job-files.ts';
import { sinkKinds, type JobParts, type SinkPart } from '../job-file.ts';

/** Where a job writes. */
export interface CheckedOutputs {
  readonly sinks: readonly SinkDefinition[];
  readonly deadLetters: DeadLetterPolicy;
}

/**
 * Checks where a job writes: topics that it may write and that do not meet each other or its input, tables, files. Adds what is wrong to `files`, so the
 * result is of use only where nothing was.
 *
 * @param topics `inputTopics` are the topics that the job reads, as far as it says so soundly; `lateTopic` where it sends late records.
 */
export function checkOutputs(
  document: PlanDocument,
  { job = 'job', sinks = [], deadLetters, late, amendments }: Partial<JobParts>,
  { inputTopics, lateTopic }: { readonly inputTopics: readonly string[]; readonly lateTopic: string | null },
  files: JobFiles,
): CheckedOutputs {
  const { diagnostics } = files;
  /** What each topic is already for. */
  const useOf = new Map<string, string>(inputTopics.map((topic) => [topic, 'read']));
  const take = (topic: string, path: DocumentPath, use: string): void => {
    if (!checkTopic(document, path, topic, diagnostics)) return;
    const taken = useOf.get(topic);
    if (taken === undefined) {
      useOf.set(topic, use);
      return;
    }
    const message = `the topic "${topic}" is already ${taken} by this job`;
    diagnostics.push(document.atValue(path, { code: 'NAME_DUPLICATE', message, expected: 'another topic' }));
  };
  const definitions = sinks.flatMap((part, index): SinkDefinition[] => {
    const path = ['sinks', index];
    const kind = checkOneOf(document, path, sinkKinds, 'where results go', diagnostics);
    if (kind === null) return [];
    if (kind === 'topic' && part.topic !== undefined) take(part.topic, [...path, 'topic'], 'written');
    if (kind !== 'topic') refuseTopicKeys(document, path, part, diagnostics);
    return definitionOf(document, path, part, files);
  });
  checkFollowers(document, sinks, diagnostics);
  if (amendments !== undefined) take(amendments.topic, ['amendments', 'topic'], 'written');
  if (lateTopic !== null) take(lateTopic, late?.topic === undefined ? ['job'] : ['late', 'topic'], 'written');
  if (deadLetters === 'fail') return { sinks: definitions, deadLetters: { policy: 'fail' } };
  const topic = deadLetters?.topic ?? `${job}-dead-letters`;
  take(topic, deadLetters === undefined ? ['job'] : ['deadLetters', 'topic'], 'written');
  const format = deadLetters?.format === 'avro' ? 'avro' : 'json';
  return { sinks: definitions, deadLetters: { policy: 'dead-letter', topic, format } };
}

function definitionOf(
  document: PlanDocument,
  path: DocumentPath,
  { topic, clickhouse, jsonl, console, format, partitions, where }: SinkPart,
  files: JobFiles,
): SinkDefinition[] {
  if (topic !== undefined) {
    const condition = where === undefined ? {} : { where };
    const form = format === 'avro' ? 'avro' : 'json';
    return [{ kind: 'topic', topic, format: form, partitions: partitions ?? null, ...condition }];
  }
  if (jsonl !== undefined) return [{ kind: 'jsonl', path: files.resolve(jsonl) }];
  if (console !== undefined) return [{ kind: 'console', everyMs: console }];
  if (clickhouse === undefined) return [];
  if (!/^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$/.test(clickhouse)) {
    const message = `"${clickhouse}" cannot be the name of a table`;
    const expected = 'letters, digits and _, after a database and a dot or alone';
    files.diagnostics.push(document.atValue([...path, 'clickhouse'], { code: 'VALUE_WRONG', message, expected }));
  }
  return [{ kind: 'clickhouse', table: clickhouse }];
}

function refuseTopicKeys(document: PlanDocument, path: DocumentPath, part: SinkPart, diagnostics: Diagnostic[]): void {
  for (const key of ['format', 'partitions', 'where'] as const) {
    if (part[key] === undefined) continue;
    const message = `"${key}" belongs to a topic`;
    diagnostics.push(document.atKey([...path, key], { code: 'VALUE_WRONG', message, expected: `no "${key}"` }));
  }
}

/** Tables and files are written by followers of a committed topic, so there must be one; and no two may write the same. */
function checkFollowers(document: PlanDocument, sinks: readonly SinkPart[], diagnostics: Diagnostic[]): void {
  const hasTopic = sinks.some(({ topic }) => topic !== undefined);
  const seen = new Set<string>();
  sinks.forEach((part, index) => {
    for (const kind of ['clickhouse', 'jsonl'] as const) {
      const target = part[kind];
      if (target === undefined) continue;
      const report = (finding: Finding): void => {
        diagnostics.push(document.atValue(['sinks', index, kind], finding));
      };
      if (!hasTopic) {
        const message = `"${kind}" follows a topic of this job, and the job writes none`;
        report({ code: 'KEY_MISSING', message, expected: 'a sink with "topic" beside it' });
      }
      if (seen.has(`${kind} ${target}`)) {
        report({ code: 'NAME_DUPLICATE', message: `"${target}" is already written by this job`, expected: 'another' });
      }
      seen.add(`${kind} ${target}`);
    }
  });
}
