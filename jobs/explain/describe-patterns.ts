import { formatDuration } from '../../engine/time/duration.ts';
import type { WatermarkScope } from '../../operators/keyed/scoped-watermarks.ts';
import type { CheckedJob } from '../checked-job.ts';

/** What is done with the records first, as `explain` shows it. */
export interface RecordsDescription {
  readonly operator: 'records';
  /** It has no state, and so none in the store. */
  readonly id: 'records';
  /** `null`: all records go on. */
  readonly where: string | null;
  /** `null`: records stay as they are. */
  readonly explode: { readonly from: string; readonly as: string; readonly form: string } | null;
}

/** The operator of sessions, as `explain` shows it. */
export interface SessionsDescription {
  readonly operator: 'sessions';
  readonly id: string;
  readonly key: readonly string[];
  readonly gapMs: number;
  readonly forgetMs: number;
  readonly closedBy: WatermarkScope;
}

/** The operator of a pattern, as `explain` shows it. */
export interface PatternDescription {
  readonly operator: 'pattern';
  readonly id: string;
  readonly key: readonly string[];
  readonly first: string;
  readonly followedBy: string;
  readonly withinMs: number;
  readonly select: readonly { readonly name: string; readonly expression: string }[];
  readonly closedBy: WatermarkScope;
}

/** Describes what a job does with its records first. Called by `describeJob`. */
export function describeRecords({ records }: CheckedJob): readonly RecordsDescription[] {
  if (records === null) return [];
  const { where, explode } = records;
  const form =
    explode === null ? '' : explode.form === 'json' ? 'a JSON list' : `items between "${explode.form.separator}"`;
  const exploded = explode === null ? null : { from: explode.from, as: explode.as, form };
  return [{ operator: 'records', id: 'records', where: where?.text ?? null, explode: exploded }];
}

/** Describes a job's sessions. Called by `describeJob`. */
export function describeSessions({ sessions }: CheckedJob): readonly SessionsDescription[] {
  if (sessions === null) return [];
  const { operatorId: id, key, gapMs, forgetMs, closedBy } = sessions.definition;
  return [{ operator: 'sessions', id, key, gapMs, forgetMs, closedBy }];
}

/** Describes a job's pattern. Called by `describeJob`. */
export function describePattern({ pattern }: CheckedJob): readonly PatternDescription[] {
  if (pattern === null) return [];
  const { definition, rules } = pattern;
  const { operatorId: id, key, withinMs, closedBy } = definition;
  const select = rules.select.map(({ name, expression: { text } }) => ({ name, expression: text }));
  const { first, followedBy } = rules;
  return [{ operator: 'pattern', id, key, first: first.text, followedBy: followedBy.text, withinMs, select, closedBy }];
}

/** What is done with the records first, in lines of text. */
export function recordLines({ where, explode }: RecordsDescription): readonly string[] {
  return [
    ...(where === null ? [] : [`filter  only records where ${where}`]),
    ...(explode === null
      ? []
      : [`flatMap  a record for each item of ${explode.from}, ${explode.form}, as ${explode.as}`]),
  ];
}

/** The operator of sessions in lines of text. */
export function sessionLines({ id, key, gapMs, forgetMs, closedBy }: SessionsDescription): readonly string[] {
  return [
    `sessions  ${id}  gap ${formatDuration(gapMs)}, for each ${key.join(' + ')}`,
    '  adds session_id, session_number, session_start; records of an earlier session get none, and are flagged late',
    `  state  40 bytes + the key, for each key of the last ${formatDuration(forgetMs)}, by ${scopeText(closedBy)}`,
  ];
}

/** The operator of a pattern in lines of text. */
export function patternLines(description: PatternDescription): readonly string[] {
  const { id, key, first, followedBy, withinMs, select, closedBy } = description;
  const width = select.reduce((longest, { name }) => Math.max(longest, name.length), 0);
  return [
    `pattern  ${id}  two records of one ${key.join(' + ')}, less than ${formatDuration(withinMs)} apart`,
    `  first        ${first}`,
    `  followed by  ${followedBy}`,
    '  results  one for each first record, at the first later one that completes it, at once',
    ...select.map(({ name, expression }) => `    ${name.padEnd(width)}  = ${expression}`),
    `  state  each first record that waits, for ${formatDuration(withinMs)} by ${scopeText(closedBy)}`,
  ];
}

function scopeText(closedBy: WatermarkScope): string {
  return closedBy === 'partition'
    ? "its partition's watermark"
    : 'the least watermark of all partitions that are not idle';
}
