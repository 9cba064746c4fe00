import type { FieldType, Schema } from '../../engine/record/schema.ts';
import type { FeatureStep, RollingStep } from '../../features/feature-plan.ts';
import { modelColumns } from '../../features/model-input.ts';
import { layOut, type StoredColumn } from '../../operators/rolling/rolling-layout.ts';
import type { DerivedColumn } from '../../operators/derive/derive.ts';
import type { CheckedJob, SinkDefinition } from '../checked-job.ts';
import { mixesInputs, mixesPartitions } from '../check/input-order.ts';
import { describeAmendments, type AmendDescription } from './describe-amendments.ts';
import { describeEnrich, type EnrichDescription } from './describe-enrich.ts';
import {
  describeInputs,
  describeChain,
  type InputDescription,
  type JoinDescription,
  type UnionDescription,
} from './describe-inputs.ts';
import { holdRule, planStages } from '../runtime/stages/stages.ts';
import {
  describePattern,
  describeRecords,
  describeSessions,
  type PatternDescription,
  type RecordsDescription,
  type SessionsDescription,
} from './describe-patterns.ts';
import { describePanes, type PanesDescription } from './describe-panes.ts';
import { describeWindows, type WindowDescription } from './describe-windows.ts';

/** A job as `explain` shows it: the JSON form as it is, and what text and drawing are made of. Keys are stable; times are in milliseconds. */
export interface JobDescription {
  readonly job: string;
  readonly app: string;
  readonly file: string;
  readonly digest: string;
  readonly guarantee: string;
  readonly source: {
    readonly kind: string;
    readonly name: string;
    readonly format: string;
    readonly key: string;
    /** Where a job has several; `fields` are then those of what comes out of them. */
    readonly inputs: readonly InputDescription[];
    readonly fields: readonly { readonly name: string; readonly type: FieldType; readonly presence: string }[];
    /** What records must be beyond their fields' types; `null` where nothing more is said of them. */
    readonly rules: CheckedJob['source']['rules'];
    readonly eventTime: CheckedJob['source']['eventTime'];
    readonly late: CheckedJob['late'];
    readonly deadLetters: CheckedJob['deadLetters'];
  };
  /** In the order in which a record meets them. */
  readonly operators: readonly OperatorDescription[];
  /** How the job is split on a cluster; one stage where nothing has to be exchanged. */
  readonly stages: readonly StageDescription[];
  readonly features: { readonly count: number; readonly digest: string };
  /** `null` for a job that publishes features. */
  readonly model: ModelDescription | null;
  readonly sinks: readonly SinkDefinition[];
  readonly state: CheckedJob['state'];
  readonly trigger: CheckedJob['trigger'];
}

/** What one group of workers does on a cluster; see `runtime/stages.ts`. */
export interface StageDescription {
  /** Its consumer group. */
  readonly group: string;
  /** The topic that it reads. */
  readonly reads: string;
  /** What keeps records together there. */
  readonly key: readonly string[];
  /** Operators with state that run there, by their ids, beside what drops repeated records. */
  readonly operators: readonly string[];
  /** How far others may be ahead of a task that writes to it and was never heard from, before windows no longer wait for that; `null` where none do. */
  readonly holdMs: number | null;
  /** The topic through which its records go on, by no key where each goes to all partitions; `null` for the last stage, which writes the results. */
  readonly exchange: {
    readonly topic: string;
    readonly key: readonly string[];
    /** `null`: as many as the input has. */
    readonly partitions: number | null;
  } | null;
}

/** One operator. */
export type OperatorDescription =
  | DedupeDescription
  | DeriveDescription
  | RollingDescription
  | WindowDescription
  | JoinDescription
  | UnionDescription
  | EnrichDescription
  | RecordsDescription
  | SessionsDescription
  | PatternDescription
  | AmendDescription;

/** The operator that drops repeated records. */
export interface DedupeDescription {
  readonly operator: 'dedupe';
  readonly id: string;
  readonly by: string;
  readonly withinMs: number;
  /** Of the stored state, for each record that was let through and is still remembered. */
  readonly bytes: { readonly perRecord: number; readonly formula: string };
}

/** An operator that computes columns from others of the same record. It has no state. */
export interface DeriveDescription {
  readonly operator: 'derive';
  readonly columns: readonly { readonly name: string; readonly expression: string; readonly type: FieldType }[];
}

/** An operator of rolling features: one state for each key. */
export interface RollingDescription {
  readonly operator: 'rolling';
  readonly id: string;
  readonly key: readonly string[];
  /**
   * What orders the records of one key: `input`, the partition that they share; or `commit`, since they come from several partitions, and how those
   * interleave is recorded with each commit.
   */
  readonly order: 'input' | 'commit';
  /** What is stored of each record beside its event time. */
  readonly stored: readonly (StoredColumn & { readonly bytesPerRow: number })[];
  /** `null` where each record is kept. */
  readonly panes: PanesDescription | null;
  readonly bytes: {
    /** Of a key's stored rows, without texts. */
    readonly perKey: number;
    readonly perRow: number;
    readonly formula: string;
  };
  readonly reachMs: number;
  readonly retentionMs: number;
  /** The features that share the search for their windows' end. */
  readonly scans: readonly ScanDescription[];
}

/** Windows that end at the same record: their end is searched once. */
export interface ScanDescription {
  readonly delayMs: number;
  readonly current: 'include' | 'exclude';
  readonly windowsMs: readonly number[];
  /** Each goes once over one column, from the end of the shortest window to the beginning of the longest. */
  readonly walks: readonly WalkDescription[];
}

/** One pass, and the features that it answers. */
export interface WalkDescription {
  readonly function: string;
  /** `null`: event times alone. */
  readonly input: string | null;
  readonly where: string | null;
  readonly features: readonly { readonly name: string; readonly overMs: number }[];
}

/** What scores, and what it is given. */
export interface ModelDescription {
  readonly reference: string;
  readonly threshold: 'model' | number;
  /** How many reasons an alert carries. */
  readonly reasons: number;
  /** `manifest`: the model's own list, in its order; `declared`: no model was at hand, and this is what one could be given. */
  readonly inputsFrom: 'manifest' | 'declared';
  /** `whenNull` is `null` where the model gets NaN, "missing". */
  readonly inputs: readonly { readonly name: string; readonly whenNull: number | null; readonly order: string }[];
}

/** An input of a model as binding gives it: `whenNull` is NaN without a default. */
export interface GivenInput {
  readonly column: string;
  readonly whenNull: number;
}

/** Bytes of the head of a key's stored rows, and of an event time or a number; see `operators/rolling/row-format.ts`. */
const headBytes = 8;
const numberBytes = 8;
const codeBytes = 4;
/** Of an entry of the duplicates' log beside the id itself; see `operators/dedupe/dedupe-logic.ts`. */
const dedupeBytes = 12;

/**
 * Describes a checked job. Called by `explain`, and by whatever shows a job.
 *
 * @param inputs what the job's model is given, in its order, where a model is at hand.
 */
export function describeJob(job: CheckedJob, inputs: readonly GivenInput[] | null): JobDescription {
  const { source, schema, features, score } = job;
  const steps = features.steps.map((step, index): OperatorDescription => {
    const input = features.steps[index - 1]?.output ?? features.inputSchema;
    return step.kind === 'derive' ? describeDerive(step) : describeRolling(step, input, job);
  });
  return {
    job: job.name,
    app: job.app,
    file: job.file,
    digest: job.digest,
    guarantee: job.guarantee,
    source: {
      kind: source.kind,
      name: originName(job),
      format: source.format,
      key: source.key,
      inputs: source.kind === 'inputs' ? describeInputs(source.plan) : [],
      fields: schema.fields,
      rules: source.rules,
      eventTime: source.eventTime,
      late: job.late,
      deadLetters: job.deadLetters,
    },
    operators: [
      ...describeDuplicates(job),
      ...describeJoins(job),
      ...describeRecords(job),
      ...describeSessions(job),
      ...steps,
      ...describeWindowSteps(job),
      ...describePattern(job),
      ...describeAmendments(job),
    ],
    stages: describeStages(job),
    features: { count: features.columns.length, digest: features.digest },
    model: score === null ? null : describeModel(job, score, inputs),
    sinks: job.sinks,
    state: job.state,
    trigger: job.trigger,
  };
}

/** What derives the arguments of windows, and the windows. */
function describeWindowSteps({ windows, late }: CheckedJob): readonly OperatorDescription[] {
  if (windows === null) return [];
  const derived = windows.steps.flatMap((step) => (step.kind === 'derive' ? [describeDerive(step)] : []));
  return [...derived, describeWindows(windows, late)];
}

/** What makes one stream of a job's inputs. */
function describeJoins({ source, late }: CheckedJob): readonly OperatorDescription[] {
  if (source.kind !== 'inputs') return [];
  const { join, enriched, select, inputs } = source.plan;
  if (enriched !== null) return enriched.definitions.map((definition) => describeEnrich(definition, source.plan));
  if (join === null) return [{ operator: 'union', id: 'union', inputs: inputs.map(({ name }) => name) }];
  const joined = describeChain(join, late);
  if (select === null) return joined;
  return [...joined, describeColumns(select.columns)];
}

function describeStages(job: CheckedJob): readonly StageDescription[] {
  return planStages(job).map((stage) => {
    const { suffix, key, input, output } = stage;
    return {
      group: `${job.app}.${job.name}${suffix}`,
      reads: input === 'source' ? originName(job, stage.origin) : input.topic,
      key,
      operators: stage.operators,
      holdMs: input !== 'source' && stage.windows !== null ? holdRule(stage, 1).maxLagMs : null,
      exchange: output === 'results' ? null : { topic: output.topic, key: output.key, partitions: output.partitions },
    };
  });
}

/** @param origin which of several inputs; absent for all of them. */
function originName({ source }: CheckedJob, origin?: number): string {
  switch (source.kind) {
    case 'topic':
      return source.topic;
    case 'simulator':
      return source.world;
    case 'inputs':
      return source.plan.inputs
        .filter((_, index) => origin === undefined || index === origin)
        .map(({ name }) => name)
        .join(', ');
    case 'parquet':
    case 'csv':
    case 'jsonl':
      return source.path;
  }
}

function describeDuplicates({ source }: CheckedJob): readonly DedupeDescription[] {
  const of = (id: string, duplicates: CheckedJob['source']['duplicates']): readonly DedupeDescription[] => {
    if (duplicates === null) return [];
    const { by, withinMs } = duplicates;
    const formula = `${dedupeBytes} + the bytes of ${by}, for each record ${withinMs === Infinity ? 'that there ever was' : `of the last ${withinMs} ms`}`;
    return [{ operator: 'dedupe', id, by, withinMs, bytes: { perRecord: dedupeBytes, formula } }];
  };
  if (source.kind !== 'inputs') return of('duplicates', source.duplicates);
  return source.plan.inputs.flatMap((input) => of(`duplicates-${input.name}`, input.source.duplicates));
}

function describeDerive({ columns }: FeatureStep & { readonly kind: 'derive' }): DeriveDescription {
  return describeColumns(columns);
}

function describeColumns(columns: readonly DerivedColumn[]): DeriveDescription {
  return {
    operator: 'derive',
    columns: columns.map(({ name, expression: { text, type } }) => ({ name, expression: text, type })),
  };
}

function describeRolling({ definition }: RollingStep, input: Schema, job: CheckedJob): RollingDescription {
  const layout = layOut(definition, input);
  const functionOf = new Map(
    job.features.features.flatMap((feature) =>
      feature.kind === 'rolling' ? feature.columns.map(({ name }) => [name, feature.aggregate.function] as const) : [],
    ),
  );
  const stored = layout.columns.map((column) => {
    return { ...column, bytesPerRow: column.form === 'code' ? codeBytes : numberBytes };
  });
  const inPanes = describePanes(definition, input);
  const perRow = numberBytes + stored.reduce((sum, { bytesPerRow }) => sum + bytesPerRow, 0);
  const texts = stored.filter(({ form }) => form === 'code').length;
  const textBytes = texts === 0 ? '' : ` + ${texts === 1 ? '' : `${texts} × `}(4 + texts × (4 + their bytes))`;
  return {
    operator: 'rolling',
    id: definition.operatorId,
    key: definition.key,
    order: orderOfKey(definition.key, job),
    stored,
    panes: inPanes?.panes ?? null,
    bytes: inPanes?.bytes ?? {
      perKey: headBytes + texts * 4,
      perRow,
      formula: `${headBytes} + rows × ${perRow}${textBytes}`,
    },
    reachMs: layout.reachMs,
    retentionMs: layout.retentionMs,
    scans: layout.readings.map(({ delayMs, current, lengthsMs, walks }) => ({
      delayMs,
      current,
      windowsMs: [...lengthsMs],
      walks: walks.map(({ column, windows, outputs }) => {
        const names = [...outputs].map((output) => layout.outputs[output]?.field.name ?? '');
        return {
          function: functionOf.get(names[0] ?? '') ?? '',
          input: layout.columns[column]?.input ?? null,
          where: layout.columns[column]?.where ?? null,
          features: names.map((name, index) => ({ name, overMs: lengthsMs[windows[index] ?? 0] ?? 0 })),
        };
      }),
    })),
  };
}

/** Only a topic has several partitions; a file is read from its beginning to its end. */
function orderOfKey(key: readonly string[], { source }: CheckedJob): 'input' | 'commit' {
  if (!mixesPartitions(source)) return 'input';
  return !mixesInputs(source) && key.includes(source.key) ? 'input' : 'commit';
}

function describeModel(
  job: CheckedJob,
  { model, threshold, explain }: NonNullable<CheckedJob['score']>,
  given: readonly GivenInput[] | null,
): ModelDescription {
  const order = columnOrders(job);
  const declared = modelColumns(job.features).filter(({ type }) => type !== 'timestamp');
  const inputs =
    given?.map(({ column, whenNull }) => ({ name: column, whenNull: Number.isNaN(whenNull) ? null : whenNull })) ??
    declared.map(({ name, default: whenNull }) => ({ name, whenNull }));
  return {
    reference: model,
    threshold,
    reasons: explain,
    inputsFrom: given === null ? 'declared' : 'manifest',
    inputs: inputs.map((input) => ({ ...input, order: order.get(input.name) ?? 'input' })),
  };
}

/** For each feature's column, whether it depends on an order that the commit records: its own operator's, or that of anything it is computed from. */
function columnOrders(job: CheckedJob): ReadonlyMap<string, 'input' | 'commit'> {
  const { features } = job;
  const makers = new Map(features.features.flatMap((feature) => feature.columns.map(({ name }) => [name, feature])));
  const orders = new Map<string, 'input' | 'commit'>();
  const orderOf = (name: string): 'input' | 'commit' => {
    const known = orders.get(name);
    const feature = makers.get(name);
    if (known !== undefined || feature === undefined) return known ?? 'input';
    const own = feature.kind === 'rolling' ? orderOfKey(feature.key, job) : 'input';
    const order = own === 'commit' || feature.reads.some((read) => orderOf(read) === 'commit') ? 'commit' : 'input';
    orders.set(name, order);
    return order;
  };
  for (const name of makers.keys()) orderOf(name);
  return orders;
}
