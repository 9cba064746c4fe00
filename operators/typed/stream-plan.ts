import { SluiceError } from '../../engine/error.ts';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { Emitted, SectionStep } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { OperatorFunction } from 'rxjs';
import type { FlowRows } from '../flow/emit-flow.ts';
import type { WatermarkScope } from '../keyed/scoped-watermarks.ts';
import type { Arrivals } from './arrivals.ts';
import type { Again, StepsAgain } from './steps-again.ts';

/** What is known of a stream at one place of its way, before anything has run. Frozen plain data. */
export interface StreamPlan {
  /** The records' fields. */
  readonly schema: Schema;
  /** The topic's key. */
  readonly sourceKey: readonly string[];
  /**
   * What `withWatermark` said; `null` before it. Behind an operator of results, and a union, the delay is infinite: a row's event time says nothing of the watermark there, which rows carry and marks
   * between them move.
   */
  readonly eventTime: EventTime | null;
  /** What `keyBy` said; `null` before it. */
  readonly key: readonly string[] | null;
  /** `results` behind an operator whose outputs are records of their own. */
  readonly of: FlowRows;
  /** How many such operators there are so far. */
  readonly emits: number;
  /** The ids of the stateful operators so far. */
  readonly operatorIds: readonly string[];
  /** How its columns were computed, for amendments. */
  readonly again: StepsAgain;
  /** Whether an operator tells when the log took the records. */
  readonly arrivals: 'told' | 'not told';
}

/** Which field is a record's event time, and how far behind the newest of its partition the watermark is. */
export interface EventTime {
  readonly field: string;
  readonly delayMs: number;
}

/** Builds what runs. Called once for each life of a task. */
export interface StepParts {
  readonly start: SectionStart;
  readonly state: StateReader;
  /** Where records go that a person's function throws on. */
  readonly rejected: RejectedRecords;
  /** When the log took the records at hand. */
  readonly arrivals: Arrivals;
}

/** An operator, built. */
export type OpenStep = { readonly logics: readonly StatefulLogic[] } & (
  | { readonly kind: 'step'; readonly step: SectionStep }
  | { readonly kind: 'emit'; readonly operator: OperatorFunction<RecordBatch, Emitted>; readonly stage: StageRule }
);

/** What is to be known of an operator of results by whoever puts another one behind it. */
export interface StageRule {
  readonly operatorId: string;
  /** Whose watermark its results wait for. */
  readonly scope: WatermarkScope;
  /** How far behind the newest row of a partition the watermark is where the operator stands. */
  readonly delayMs: number;
  /** How far behind the watermark its results may be. */
  readonly heldMs: number;
  /** Whether it takes in rows that are none, but tell of the watermark. */
  readonly marks: 'taken in' | 'kept from it';
}

/** An operator, planned: what the stream is behind it, and how it is built. */
export interface PlannedStep {
  readonly plan: StreamPlan;
  /** What decides its state and results, for the job's digest; functions are in `version` only, which a person raises. */
  readonly meaning: unknown;
  /** What it is to amendments behind it; absent for what they cannot tell anew. */
  readonly again?: Again;
  /** Builds it anew, over the state that its task has. */
  open(parts: StepParts): OpenStep;
}

/** How an operator is planned from the stream before it. */
export type PlanStep = (before: StreamPlan) => PlannedStep;

/** The key that an operator needs; none of windows of all records. @throws {SluiceError} `STREAM_NOT_KEYED` */
export function keyOf({ key }: StreamPlan, operator: string): readonly string[] {
  const isOfWindows = ['tumbling', 'hopping', 'session', 'count'].includes(operator);
  if (key !== null && (key.length > 0 || isOfWindows)) return key;
  throw new SluiceError('STREAM_NOT_KEYED', `${operator} must come behind keyBy, which says whose state it keeps`);
}

/** How far behind the watermark is. @throws {SluiceError} `STREAM_WITHOUT_TIME` */
export function delayOf({ eventTime }: StreamPlan, operator: string): number {
  if (eventTime !== null) return eventTime.delayMs;
  throw new SluiceError(
    'STREAM_WITHOUT_TIME',
    `${operator} must come behind withWatermark, which says what event time is`,
  );
}

/** Whose watermark tells a key's time: its partition's, where all of its records come from one. */
export function scopeOf({ sourceKey }: StreamPlan, key: readonly string[]): WatermarkScope {
  return sourceKey.length > 0 && sourceKey.every((name) => key.includes(name)) ? 'partition' : 'query';
}

/**
 * The stream behind a stateful operator, under whose id its state is stored.
 *
 * @throws {SluiceError} `STREAM_ID_TAKEN` where two have the same; ids are kept across versions of a job, so they are not made up by position.
 */
export function withOperator(plan: StreamPlan, id: string): StreamPlan {
  if (plan.operatorIds.includes(id)) {
    throw new SluiceError(
      'STREAM_ID_TAKEN',
      `an operator's id must be its own in its stream; "${id}" is there twice: say { id: '…' }`,
    );
  }
  return { ...plan, operatorIds: [...plan.operatorIds, id] };
}

/** The stream behind an operator whose outputs are records of their own. */
export function withResults(plan: StreamPlan, schema: Schema): StreamPlan {
  const { eventTime, emits } = plan;
  const carried = eventTime === null ? null : { ...eventTime, delayMs: Infinity };
  return { ...plan, schema, of: 'results', emits: emits + 1, eventTime: carried };
}

/** That a stream has these fields. For JavaScript, and for names that came out of types as texts. @throws {SluiceError} `FIELD_UNKNOWN` */
export function checkFields({ schema }: StreamPlan, names: readonly string[], operator: string): void {
  for (const name of names) {
    if (schema.indexOf(name) >= 0) continue;
    const known = schema.fields.map((field) => field.name).join(', ');
    throw new SluiceError('FIELD_UNKNOWN', `${operator} must name fields of its records (${known}); got "${name}"`);
  }
}
