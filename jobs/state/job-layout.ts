import { createHash } from 'node:crypto';
import { formatDuration } from '../../engine/time/duration.ts';
import type { FeaturePlan, PlannedFeature } from '../../features/feature-plan.ts';
import type { CheckedJob, SourceDefinition } from '../checked-job.ts';
import { inputsMeaning } from './inputs-meaning.ts';
import { jobOperators } from './job-operators.ts';
import { stageLayouts, type StageLayout } from './stage-layouts.ts';

/** Changes when a stored layout comes to say another thing. */
const layoutVersion = 1;

/** What an operator's state is. */
export interface OperatorLayout {
  readonly id: string;
  readonly kind: string;
  readonly key: readonly string[];
  /** As `StateDescriber` has them. */
  readonly identity: string;
  readonly layout: string;
  readonly keepsMs: number | null;
  /** How far behind the watermark the records lie that it depends on; `null`: all of them. */
  readonly reachMs: number | null;
}

/** What a feature is under its name. */
export interface FeatureLayout {
  readonly name: string;
  /** Entity, function, arguments; or the expression. */
  readonly meaning: string;
  /** Over which records: may change under the same name. `null` for an expression. */
  readonly window: string | null;
  /** Whether its values are kept in the state of another feature, or decide what is. */
  readonly feedsState: boolean;
  readonly kind: 'rolling' | 'derived';
}

/**
 * What of a job decides its state, as plain data that is kept beside the state under the job's digest: a changed job is held against it, since the file that it was is gone.
 */
export interface JobLayout {
  readonly version: number;
  readonly digest: string;
  /** What positions are positions of, and by what records are keyed: by name, each compared as text. */
  readonly input: Readonly<Record<string, string>>;
  /** What decides which records reach the operators, and when they are late. */
  readonly rules: Readonly<Record<string, string>>;
  /** The record's fields and their types. */
  readonly fields: Readonly<Record<string, string>>;
  readonly operators: readonly OperatorLayout[];
  readonly features: readonly FeatureLayout[];
  /** On a cluster; absent where the job is one stage there. */
  readonly stages?: readonly StageLayout[];
}

/** The layout of a job's state. Called when a job is opened, and by `plan --diff`. */
export function layoutOf(job: CheckedJob): JobLayout {
  const { source, late, schema, features } = job;
  const { eventTime, duplicates, rules, avro } = source;
  const stages = stageLayouts(job);
  return {
    version: layoutVersion,
    digest: job.digest,
    input: {
      source: originOf(source),
      'source.format': source.format,
      'source.key': source.key,
      'source.eventTime.field': eventTime.field,
    },
    rules: {
      'source.eventTime.delay': `${eventTime.delayMs} ms`,
      'source.eventTime.maxFutureSkew': `${eventTime.maxFutureSkewMs} ms`,
      'source.duplicates': duplicates === null ? 'none' : `by ${duplicates.by} within ${duplicates.withinMs} ms`,
      'source.schema (Avro)': avro === null ? 'none' : hashOf(avro),
      'source.schema (rules)': rules === null ? 'none' : hashOf(JSON.stringify(rules)),
      'late.allowedLateness': `${late.allowedLatenessMs} ms`,
      ...(job.records === null
        ? {}
        : { records: JSON.stringify([job.records.where?.canonical ?? null, job.records.explode]) }),
    },
    fields: Object.fromEntries(schema.fields.map(({ name, type }) => [name, type])),
    operators: jobOperators(job).map(({ describer, reachMs }) => {
      const { operatorId: id, kind, keyFields: key, identity, layout, keepsMs } = describer;
      return { id, kind, key, identity, layout, keepsMs, reachMs };
    }),
    features: featureLayouts(features),
    ...(stages.length === 0 ? {} : { stages }),
  };
}

/** What is kept beside a state, if it is a layout of this version. */
export function readLayout(stored: unknown): JobLayout | null {
  const layout = stored as JobLayout | null | undefined;
  return layout?.version === layoutVersion ? layout : null;
}

function originOf(source: SourceDefinition): string {
  switch (source.kind) {
    case 'topic':
      return `topic ${source.topic}`;
    case 'parquet':
    case 'csv':
    case 'jsonl':
      return `${source.kind} ${source.path}`;
    case 'simulator':
      return `simulator ${source.world} ${source.seed} ${source.drift}`;
    case 'inputs':
      // What positions of several inputs mean is decided by all that is said of them, and of how they are brought together.
      return `several inputs, and what is said of them (${hashOf(JSON.stringify(inputsMeaning(source.plan)))})`;
  }
}

function featureLayouts({ features, steps }: FeaturePlan): readonly FeatureLayout[] {
  const makerOf = new Map(features.flatMap((feature) => feature.columns.map(({ name }) => [name, feature])));
  const feeding = new Set<string>();
  const feed = (column: string | null): void => {
    const feature = makerOf.get(column ?? '');
    if (feature === undefined || feeding.has(feature.name)) return;
    feeding.add(feature.name);
    feature.reads.forEach(feed);
  };
  for (const feature of features) if (feature.kind === 'rolling') feature.reads.forEach(feed);
  for (const step of steps) if (step.kind === 'rolling') step.definition.key.forEach(feed);
  return features.map((feature) => {
    const { name, kind } = feature;
    const meaning =
      feature.kind === 'derived'
        ? feature.expression.canonical
        : JSON.stringify([
            feature.key,
            feature.aggregate.function,
            feature.arguments.map(({ canonical }) => canonical),
            feature.aggregate.input,
            feature.aggregate.where,
            feature.aggregate.delayMs > 0 ? 'exclude' : feature.aggregate.current,
            feature.aggregate.halfLifeMs,
          ]);
    return { name, kind, meaning, window: windowOf(feature), feedsState: feeding.has(name) };
  });
}

function windowOf(feature: PlannedFeature): string | null {
  if (feature.kind === 'derived') return null;
  const { overMs, delayMs, n } = feature.aggregate;
  const { panes: rule } = feature;
  const above = rule?.aboveRecords === undefined ? '' : ` above ${rule.aboveRecords} records`;
  const panes = rule === null ? '' : `, in panes of ${formatDuration(rule.sizeMs)}${above}`;
  const delayed = delayMs === 0 ? '' : `, delayed by ${formatDuration(delayMs)}`;
  return `${formatDuration(overMs)}${delayed}${n === null ? '' : `, ${n} values`}${panes}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
