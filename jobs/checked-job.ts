import type { Schema } from '../engine/record/schema.ts';
import type { FeaturePlan } from '../features/feature-plan.ts';
import type { OutputMode } from '../operators/window/output-modes.ts';
import type { AmendPlan } from './plan/amend-plan.ts';
import type { InputsPlan } from './plan/inputs-plan.ts';
import type { RecordsPlan } from './plan/records-plan.ts';
import type { PatternPlan, SessionsPlan } from './plan/pattern-plan.ts';
import type {
  EventTimeDefinition,
  FileOrigin,
  MessageFormat,
  SourceCommon,
  TopicOrigin,
} from './plan/source-definition.ts';
import type { WindowPlan } from './plan/window-plan.ts';

export type { EventTimeDefinition, FileOrigin, MessageFormat, SourceCommon, TopicOrigin };

/** A job file after every check: frozen plain data from which `explain` reads and queries are built. */
export interface CheckedJob {
  /** The job file's path, for people. */
  readonly file: string;
  readonly name: string;
  /** Names the installation: prefix of consumer groups, transactional ids and state keys. */
  readonly app: string;
  readonly source: SourceDefinition;
  /** The source's fields. */
  readonly schema: Schema;
  /** What is done with the records first; `null` for nothing. */
  readonly records: RecordsPlan | null;
  /** `null` for a job that tells no sessions; the features, windows and pattern of others see their columns. */
  readonly sessions: SessionsPlan | null;
  readonly features: FeaturePlan;
  /** `null` for a job that answers each record. */
  readonly windows: WindowPlan | null;
  /** `null` for a job that looks for none. */
  readonly pattern: PatternPlan | null;
  /** `null` for a job that tells no decision anew. */
  readonly amendments: AmendPlan | null;
  readonly outputMode: OutputMode;
  readonly trigger: TriggerDefinition;
  /** `null` for a job that publishes features alone. */
  readonly score: ScoreDefinition | null;
  readonly sinks: readonly SinkDefinition[];
  readonly deadLetters: DeadLetterPolicy;
  readonly late: LatePolicy;
  readonly state: StateDefinition;
  readonly exchange: ExchangeDefinition;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  /** Of everything that decides outputs and state; committed with every batch. */
  readonly digest: string;
}

/** Where a job's records come from, and what they are. */
export type SourceDefinition = SourceCommon & (TopicOrigin | FileOrigin | SimulatorOrigin | InputsOrigin);

/** Several inputs as one: what they are, and what is done with them. The rest of the job sees the records that come out. */
export interface InputsOrigin {
  readonly kind: 'inputs';
  readonly plan: InputsPlan;
}

/** Records made up on the spot. */
export interface SimulatorOrigin {
  readonly kind: 'simulator';
  readonly world: 'stream' | 'handbook';
  readonly ratePerSecond: number | null;
  readonly seed: number;
  readonly drift: 'none' | 'drill';
}

/** How records are scored. */
export interface ScoreDefinition {
  /** `name@alias`, `name@version`, or the path of a version's directory. */
  readonly model: string;
  readonly shadow: string | null;
  /** `model`: the one that the model was made with. */
  readonly threshold: 'model' | number;
  /** How many reason codes an alert carries. */
  readonly explain: number;
}

/** Where results go. */
export type SinkDefinition =
  | {
      readonly kind: 'topic';
      readonly topic: string;
      readonly format: MessageFormat;
      readonly partitions: number | null;
      /** The condition by which results go there, over the results' columns. Absent: all do. */
      readonly where?: string;
    }
  | { readonly kind: 'clickhouse'; readonly table: string }
  | { readonly kind: 'jsonl'; readonly path: string }
  | { readonly kind: 'console'; readonly everyMs: number };

/** What becomes of a bad record. */
export type DeadLetterPolicy =
  | { readonly policy: 'dead-letter'; readonly topic: string; readonly format: MessageFormat }
  | { readonly policy: 'fail' };

/** What becomes of late records, and how long after the watermark they may find their whole window. */
export interface LatePolicy {
  readonly allowedLatenessMs: number;
  readonly policy: 'answer' | 'route' | 'update' | 'drop';
  /** Where they are sent; `null` where they are not. */
  readonly topic: string | null;
}

/** How records reach the state of entities other than the topic's key, where partitions are worked on apart. */
export interface ExchangeDefinition {
  /** Of the topics between stages; `null`: as many as the input has. */
  readonly partitions: number | null;
}

/** When batches are read, and how much at once. It changes how the stream is cut into batches, and so no result. */
export interface TriggerDefinition {
  readonly kind: 'realtime' | 'processingTime' | 'availableNow' | 'once';
  /** `processingTime`: how often; otherwise 0. */
  readonly everyMs: number;
  /** `null`: all that is there. */
  readonly maxOffsetsPerTrigger: number | null;
}

/** How state is kept. */
export interface StateDefinition {
  readonly flushEveryMs: number;
  /** `null` where no feature values are kept for others to read. */
  readonly online: OnlineDefinition | null;
}

/** Which entities' latest feature values are kept for others to read, and how long they outlive their last record. */
export interface OnlineDefinition {
  /** By the fields of their keys, joined by `+`; `null`: all that the features have. */
  readonly entities: readonly string[] | null;
  /** `null`: for ever. */
  readonly ttlMs: number | null;
}
