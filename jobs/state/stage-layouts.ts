import type { FeatureStep } from '../../features/feature-plan.ts';
import type { CheckedJob } from '../checked-job.ts';
import { planStages, type Exchange, type Stage } from '../runtime/stages/stages.ts';
import { columnMeanings } from './job-operators.ts';

/** What decides the state of a stage on a cluster, and what records on their way to it hold, as plain data. */
export interface StageLayout {
  /** What its tasks commit in the place of the job's. */
  readonly digest: string;
  /** What it is called, what it reads and writes, and by which keys records are placed there: compared as text. */
  readonly place: string;
  /** Of the exchange that it reads, in the order in which messages have them; empty where it reads an input. */
  readonly columns: readonly string[];
  /** What each of them holds, by name. */
  readonly holds: Readonly<Record<string, string>>;
  /** Those that state is computed from, here or in a later stage. */
  readonly feeds: readonly string[];
  /** The ids of its operators that keep state. */
  readonly operators: readonly string[];
}

/** The stages of a job on a cluster, where it has several; none otherwise. Called with the layout of the job. */
export function stageLayouts(job: CheckedJob): readonly StageLayout[] {
  const stages = planStages(job);
  if (stages.length === 1) return [];
  const meanings = columnMeanings(job);
  const meaningOf = (name: string): string => {
    const isField = job.schema.field(name) !== undefined;
    return `${meanings.get(name) ?? ''}${isField ? '' : ` late by ${job.late.allowedLatenessMs} ms`}`;
  };
  const layouts: StageLayout[] = [];
  let neededBehind: readonly string[] = [];
  for (const stage of stages.toReversed()) {
    const { input, output, suffix, key, digest, operators } = stage;
    const isExchange = input !== 'source';
    const columns = isExchange ? stage.inputSchema.fields : [];
    const needed = neededColumns(job, stage, neededBehind);
    const feeds = columns.map(({ name }) => name).filter((name) => needed === 'all' || needed.has(name));
    if (isExchange) neededBehind = feeds;
    layouts.unshift({
      digest,
      place: JSON.stringify([
        suffix,
        key,
        isExchange ? placeOf(input) : stage.origin,
        output === 'results' ? null : placeOf(output),
      ]),
      columns: columns.map(({ name, type, presence }) => `${name} (${presence} ${type})`),
      holds: Object.fromEntries(columns.map(({ name }) => [name, meaningOf(name)])),
      feeds,
      operators,
    });
  }
  return layouts;
}

/** Without the application's name, which a savepoint does not ask for. */
function placeOf({ topic, key, partitions, spread, waits }: Exchange): unknown {
  return [topic.slice(topic.lastIndexOf('.') + 1), key, partitions, spread, waits];
}

/** The columns that state is computed from in a stage, or behind it, as the stage is given them. */
function neededColumns(
  { amendments }: CheckedJob,
  { windows, pattern, sessions, steps }: Stage,
  behind: readonly string[],
): ReadonlySet<string> | 'all' {
  if (windows !== null || pattern !== null || amendments !== null) return 'all';
  const needed = new Set([...behind, ...(sessions?.definition.key ?? [])]);
  for (const step of steps.toReversed()) addReads(step, needed);
  return needed;
}

function addReads(step: FeatureStep, needed: Set<string>): void {
  const add = (name: string | null): unknown => name !== null && needed.add(name);
  if (step.kind === 'rolling') {
    step.definition.key.forEach(add);
    for (const { input, where } of step.definition.aggregates) [input, where].forEach(add);
    return;
  }
  for (const { name, expression } of step.columns) if (needed.has(name)) expression.reads.forEach(add);
}
