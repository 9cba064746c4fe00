import { Schema, type Field } from '../../engine/record/schema.ts';
import type { WatermarkScope } from '../keyed/scoped-watermarks.ts';
import type { ErrorPolicy } from '../row/call-outcome.ts';
import type { Row } from '../row/row-view.ts';
import type { StateCodec } from './state-codec.ts';

/** The state of the key that a function is called for. What it changes counts once the function has returned. */
export interface KeyState<State> {
  /** The key's state, as a copy of its own; `null` where it has none, or had one that its time to live has passed. */
  get(): State | null;
  /** Replaces it, and begins its time to live again. @throws {TypeError} for what the codec cannot keep. */
  set(state: State): void;
  /** Forgets it. */
  clear(): void;
}

/** The timers of the key that a function is called for: instants of event time, each there once. What it changes counts once the function has returned. */
export interface KeyTimers {
  /**
   * Has `onTimer` called when the key's watermark is at `atMs` or past it. One that it has passed already fires behind the record.
   *
   * @param atMs whole milliseconds since the epoch; in `onTimer`, later than the timer that fires.
   * @throws {RangeError} for another.
   */
  set(atMs: number): void;
  /** Takes a timer back; one that there is not is no error. */
  delete(atMs: number): void;
}

/** What a function of {@link ProcessDefinition} is given beside the record. Valid while the function runs. */
export interface ProcessContext<State, Output> {
  /** The values of the key's fields, in their order. */
  readonly key: readonly (number | string)[];
  /** The record's event time; of a timer, its own. */
  readonly eventTimeMs: number;
  /** Where the key's watermark stands: in `onRecord` before the record, and `-Infinity` before the first one. */
  readonly watermarkMs: number;
  readonly state: KeyState<State>;
  readonly timers: KeyTimers;
  /** Gives a row out, with the event time of the record or timer. @throws {TypeError} where it is not of the declared fields. */
  readonly emit: (row: Output) => void;
}

/**
 * A person's own operator over keyed state: Flink's `KeyedProcessFunction`, Spark's `transformWithState`. Both functions are synchronous and depend on nothing but what they are
 * given: no clock, no chance, no state of their own, or a replay would differ.
 */
export interface ProcessDefinition<State = unknown, Output = Row> {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  /** The key's columns, in order. Records where one of them is null are left out. */
  readonly key: readonly string[];
  /** The fields of the rows that are given out, behind the key's. */
  readonly outputs: readonly Field[];
  readonly codec: StateCodec<State>;
  /** For how long after the event time of the record or timer that set it a state is kept, by the key's watermark; `null`: for ever. */
  readonly ttlMs: number | null;
  /** How far the watermark is behind the newest record of a partition: tells where it stands behind each record. */
  readonly delayMs: number;
  readonly closedBy: WatermarkScope;
  /** What becomes of a record that `onRecord` throws on. A throw of `onTimer`, which has no record, ends the query. */
  readonly errors: ErrorPolicy;
  /** Called for each record, in arrival order. */
  onRecord(record: Row, context: ProcessContext<State, Output>): void;
  /** Called for each timer that the watermark reaches, by time, ties by key. */
  onTimer?(context: ProcessContext<State, Output>): void;
}

/** The schema of what is given out: the key, then the declared fields. Called once, when the plan is made. */
export function processSchema({ key, outputs }: Pick<ProcessDefinition, 'key' | 'outputs'>, input: Schema): Schema {
  const keys = key.map((name): Field => ({ name, type: input.field(name)?.type ?? 'string', presence: 'required' }));
  return new Schema([...keys, ...outputs]);
}
