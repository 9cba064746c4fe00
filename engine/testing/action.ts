import type { CompareOptions, Row } from './compare-rows.ts';
import type { LedgerCounts } from '../observability/ledger.ts';
import type { QueryUnderTest } from './query-under-test.ts';
import type { CrashPoint, CrashStep } from './test-process.ts';

/** Where rows go, and when the broker is to have taken them. */
export interface AddOptions {
  /** Default: the one that a producer would choose by the key. */
  readonly partition?: number;
  /**
   * The broker's timestamp, milliseconds since the epoch. Default: now by the virtual clock, which is first moved on to the newest event time, so that no record comes from
   * the future unless a test says so.
   */
  readonly appendedAtMs?: number;
}

/** Where rows are looked for, and how they are compared. */
export interface CheckOptions extends CompareOptions {
  /** Default: the query's first output topic. */
  readonly topic?: string;
}

/** What a query must fail with. */
export interface ExpectedFailure {
  readonly code: string;
  /** Words of its message. */
  readonly message?: string | RegExp;
}

/** What a test may look at beside the answers. */
export interface QueryView {
  /** A topic's rows so far, in the order in which they were committed. */
  readonly rows: (topic?: string) => readonly Row[];
  /** What became of every record since the test began. */
  readonly ledger: LedgerCounts;
  /** The partitions' watermarks as they were last committed. */
  readonly watermarksMs: ReadonlyMap<number, number>;
  /** How many keys each operator has in the store. */
  readonly storedKeys: ReadonlyMap<string, number>;
  /** Records that were replayed in silence, in all recoveries so far. */
  readonly replayedRecords: number;
  /** Batches committed so far. */
  readonly batches: number;
  readonly nowMs: number;
}

/** An action that does something. */
export type Deed =
  | { readonly kind: 'addData'; readonly rows: readonly (Row | string)[]; readonly options: AddOptions }
  | { readonly kind: 'advanceClock'; readonly durationMs: number }
  | { readonly kind: 'advanceWatermark'; readonly toMs: number; readonly partition: number | null }
  | { readonly kind: 'crash' }
  | { readonly kind: 'crashAt'; readonly step: CrashStep; readonly when: CrashPoint['when'] }
  | { readonly kind: 'stop' }
  | { readonly kind: 'restart'; readonly as: QueryUnderTest | null };

/** An action that holds what was done against what was expected. */
export type Expectation =
  | {
      readonly kind: 'checkAnswer';
      readonly rows: readonly Row[];
      readonly of: 'all' | 'new';
      readonly options: CheckOptions;
    }
  | { readonly kind: 'checkDeadLetters'; readonly rows: readonly Row[]; readonly of: 'all' | 'new' }
  | { readonly kind: 'checkLedger'; readonly counts: Partial<LedgerCounts> }
  | {
      readonly kind: 'check';
      readonly what: string;
      /** Throws where what it sees does not hold. */
      readonly look: (view: QueryView) => void;
    }
  | { readonly kind: 'expectFailure'; readonly failure: ExpectedFailure };

/** One step of a test, as plain data. Made by the functions below. */
export type Action = Deed | Expectation;

/** Appends rows to the input topic, all at once, and lets a running query work them off. A string is a message with just those bytes. */
export function addData(rows: readonly (Row | string)[], options: AddOptions = {}): Action {
  return { kind: 'addData', rows, options };
}

/** Moves the clock on: what the query does by the clock happens now. Event time is not touched. */
export function advanceClock(durationMs: number): Action {
  return { kind: 'advanceClock', durationMs };
}

/**
 * Moves the watermark up to `toMs`, of one partition or of all, as a record that nobody looks at would: its partition gets a message with an event time of `toMs` and the delay,
 * which the query reads and commits, and to which no answer is given. So it is in the log, and a replay finds it.
 */
export function advanceWatermark(toMs: number, partition: number | null = null): Action {
  return { kind: 'advanceWatermark', toMs, partition };
}

/** Holds all rows that were written since the test began against these. */
export function checkAnswer(rows: readonly Row[], options: CheckOptions = {}): Action {
  return { kind: 'checkAnswer', rows, of: 'all', options };
}

/** Holds the rows that were written to the topic since it was last checked against these. */
export function checkNewAnswer(rows: readonly Row[], options: CheckOptions = {}): Action {
  return { kind: 'checkAnswer', rows, of: 'new', options };
}

/** Holds all dead letters against these: `{ code, stage, partition, offset, message, value }`, the value as text. */
export function checkDeadLetters(rows: readonly Row[]): Action {
  return { kind: 'checkDeadLetters', rows, of: 'all' };
}

/** Holds the counts that are named against what became of all records so far. */
export function checkLedger(counts: Partial<LedgerCounts>): Action {
  return { kind: 'checkLedger', counts };
}

/** Anything else: throws when it does not like what it sees. */
export function check(what: string, look: (view: QueryView) => void): Action {
  return { kind: 'check', what, look };
}

/** Kills the process now, between two batches: memory is gone, and so is state that was not flushed. Data may be added while it is down. */
export function crash(): Action {
  return { kind: 'crash' };
}

/** Kills the process the next time that it comes to such a point: `crashAt('commit', 'after')`. */
export function crashAt(step: CrashStep, when: CrashPoint['when']): Action {
  return { kind: 'crashAt', step, when };
}

/** Stops the query in good order: state is written, and the next start has nothing to replay. */
export function stop(): Action {
  return { kind: 'stop' };
}

/** Starts the query again, over the same topics and state; or another version of it. */
export function restart(as: QueryUnderTest | null = null): Action {
  return { kind: 'restart', as };
}

/** Expects that the query has ended with this error. A restart may follow. */
export function expectFailure(failure: ExpectedFailure | string): Action {
  return { kind: 'expectFailure', failure: typeof failure === 'string' ? { code: failure } : failure };
}
