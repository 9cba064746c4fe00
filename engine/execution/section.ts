import { concatMap, map, of, tap, type Observable, type OperatorFunction } from 'rxjs';
import type { DeadLetter } from '../record/dead-letter.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { StatefulLogic } from '../state/stateful-logic.ts';
import type { StateWrite } from '../state/state-store.ts';
import type { AmendedRecords } from './amended-records.ts';
import type { RejectedRecords } from './rejected-records.ts';

/** What an operator's missing rows mean in the ledger; `keeps` for one that passes every row on. */
export type RowFate = 'keeps' | 'filtered' | 'duplicate';

/** One operator of a query: ④ on a record's way. */
export interface SectionStep {
  readonly operator: OperatorFunction<RecordBatch, RecordBatch>;
  readonly fate: RowFate;
}

/**
 * What an operator gives whose outputs are records of their own, such as a window's results: fewer than its inputs, or more, or none. Each input row is in
 * exactly one of `taken`, `filtered`, `duplicate`, `late` and the section's `rejected`; outputs are counted for themselves.
 */
export interface Emitted {
  /** The outputs, in order; each has the position of the record that brought it out. */
  readonly records: RecordBatch;
  /** How many input rows the operator took in. */
  readonly taken: number;
  /** How many it left out: by a condition, or for want of a key. */
  readonly filtered: number;
  /** How many it left out because they repeat others; absent for none. */
  readonly duplicate?: number;
  /** The input rows that came too late for it, with their own columns. */
  readonly late: RecordBatch;
  /** Outputs that an operator behind this one failed on, under the positions of the records that brought them out; absent for none. */
  readonly spoiled?: readonly DeadLetter[];
}

/** The operators of a query in order, with the logics whose state they move. Built anew for each acquisition of the task. */
export interface Section {
  readonly steps: readonly SectionStep[];
  /** Behind the steps, for a query whose outputs are not its inputs with more columns. It gives one result a batch. */
  readonly emit?: OperatorFunction<RecordBatch, Emitted>;
  readonly logics: readonly StatefulLogic[];
  /** Where the operators put records that a person's function failed on; absent where there is no such function. */
  readonly rejected?: RejectedRecords;
  /** Where an operator puts what it says anew of records that were answered before; absent where none does. */
  readonly amended?: AmendedRecords;
}

/** What came out of a section for one batch. */
export interface SectionResult {
  /** What is to be scored and published. */
  readonly records: RecordBatch;
  readonly filtered: number;
  readonly duplicate: number;
  /** What became of the records that `emit` was given; `null` where each row of `records` is a record that was read. */
  readonly absorbed: Pick<Emitted, 'taken' | 'late' | 'spoiled'> | null;
  /** Records that an operator failed on; in no other count. */
  readonly deadLetters: readonly DeadLetter[];
  /** What is said anew of records that were answered before; `null` for nothing. In no count of records. */
  readonly amended: RecordBatch | null;
  /** How many records logics have let go before their time, as a bound that the job declares has it. */
  readonly letGoEarly: number;
}

/**
 * The section as one operator: a batch has left the last step before the next one enters the first, so that state taken between two
 * batches is the state of all logics at the same offset. Each step is told which partitions were found idle before the batch, whatever the one before it made of the batch.
 */
export function runSection(section: Section): OperatorFunction<RecordBatch, SectionResult> {
  const { rejected } = section;
  const rejectedCount = (): number => rejected?.count ?? 0;
  const takeAside = (): Pick<SectionResult, 'deadLetters' | 'amended' | 'letGoEarly'> => ({
    deadLetters: rejected?.take() ?? [],
    amended: section.amended?.take() ?? null,
    letGoEarly: section.logics.reduce((count, logic) => count + (logic.takeLetGoEarly?.() ?? 0), 0),
  });
  return concatMap((input) => {
    const counts = { filtered: 0, duplicate: 0 };
    const { idle } = input;
    let batch$: Observable<RecordBatch> = of(input);
    for (const { operator, fate } of section.steps) {
      if (fate === 'keeps') {
        batch$ = batch$.pipe(operator);
        if (idle !== undefined) batch$ = batch$.pipe(map((batch) => ({ ...batch, idle })));
        continue;
      }
      let before = 0;
      batch$ = batch$.pipe(
        tap((batch) => (before = batch.rowCount + rejectedCount())),
        operator,
        tap((batch) => (counts[fate] += before - batch.rowCount - rejectedCount())),
      );
      if (idle !== undefined) batch$ = batch$.pipe(map((batch) => ({ ...batch, idle })));
    }
    if (section.emit === undefined) {
      return batch$.pipe(map((records) => ({ records, ...counts, absorbed: null, ...takeAside() })));
    }
    return batch$.pipe(
      section.emit,
      map(({ records, filtered, duplicate = 0, ...absorbed }) => {
        const left = { filtered: counts.filtered + filtered, duplicate: counts.duplicate + duplicate };
        return { records, ...left, absorbed, ...takeAside() };
      }),
    );
  });
}

/** The state of all logics that changed since it was last taken. */
export function takeState(section: Section): readonly StateWrite[] {
  return section.logics.flatMap((logic) => logic.takeChanges());
}

/** Tells all logics that the state which was taken first, of what was not told of yet, is in the store. */
export function tellStored(section: Section): void {
  for (const logic of section.logics) logic.changesStored?.();
}

/** Whether a logic must be flushed to hold no more than it is to. */
export function needsFlush(section: Section): boolean {
  return section.logics.some((logic) => logic.needsFlush === true);
}
