import type { SectionStart } from '../../engine/execution/query-definition.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { FlowRows } from '../flow/emit-flow.ts';
import type { FlowNode } from '../flow/flow.ts';
import type { Arrivals } from './arrivals.ts';
import type { Fields } from './fields.ts';
import type { EventTime, StreamPlan } from './stream-plan.ts';

/** The topic that a stream begins at. */
export interface StreamSource {
  /** What the input is called beside others: by default as its topic. */
  readonly name: string;
  readonly topic: string;
  readonly fields: Fields;
  readonly schema: Schema;
  readonly key: readonly string[];
}

/** A topic that a stream reads, and its event time. */
export interface StreamInput extends StreamSource {
  readonly eventTime: EventTime;
  /** Tables are read first, whenever they have something: others are looked up in them. */
  readonly read: 'in turn' | 'first';
  /** Whether the stream tells when the log took its records. */
  readonly arrivals: StreamPlan['arrivals'];
}

/** What several inputs are built from. */
export interface NodeParts {
  readonly start: SectionStart;
  readonly state: StateReader;
  /** Where records that were read go that a person's function throws on. */
  readonly rejected: RejectedRecords;
  /** When the log took the records at hand, of a query of one topic. */
  readonly arrivals: Arrivals;
  /** Of all that the query reads, in the order of their numbers. */
  readonly inputs: readonly StreamInput[];
}

/** A stream, built, where the flows of several inputs meet. */
export interface OpenNode {
  readonly node: FlowNode;
  readonly gives: FlowRows;
  /** Where the watermarks of its partitions stand at the start. */
  readonly watermarks: readonly PartitionWatermark[];
  /** The number that a partition of the query has among those of this stream alone. */
  readonly partitionOf: (partition: number) => number;
}

/** Where the records of a stream come from: a topic, or several streams that meet. */
export interface StreamOrigin {
  /** `null` for several. */
  readonly source: StreamSource | null;
  /** What is known of the records that come out of it. */
  readonly plan: StreamPlan;
  /** What decides its state and results, but for what functions do. */
  readonly meaning: unknown;
  /** The topics that it reads; of one topic alone, none: its event time is not known yet. */
  readonly inputs: readonly StreamInput[];
  /** Builds what several inputs go through. Never called for one topic. */
  open(parts: NodeParts): OpenNode;
}
