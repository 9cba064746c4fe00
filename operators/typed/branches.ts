import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { filterRows } from '../filter/filter.ts';
import { keepRows, RowCalls } from '../row/row-calls.ts';
import type { Row } from '../row/row-view.ts';
import { compileTyped } from './row-operators.ts';

/** Which results go to a topic: all, or those for which an expression, or a function, is true. */
export type BranchCondition<R> = 'all' | { readonly where: string } | ((result: R) => boolean);

/** The topics that a stream's results go to: one for all, or several, each with its condition. A result goes to every topic whose condition holds; to none where none does. */
export type Branches<R> = string | Readonly<Record<string, BranchCondition<R>>>;

/** One topic of results, ready to be asked. */
export interface OpenBranch {
  readonly topic: string;
  /** The rows of a batch that go there. A row that a function throws on goes nowhere, and is a dead letter. */
  readonly choose: (records: RecordBatch) => {
    readonly records: RecordBatch;
    readonly deadLetters: readonly DeadLetter[];
  };
}

/** Compiles the conditions of a stream's topics. @throws {SluiceError} `EXPRESSION_INVALID` */
export function openBranches<R>(branches: Branches<R>, schema: Schema, name: string): readonly OpenBranch[] {
  const conditions: readonly (readonly [string, BranchCondition<R>])[] =
    typeof branches === 'string' ? [[branches, 'all']] : Object.entries(branches);
  return conditions.map(([topic, condition]): OpenBranch => {
    if (condition === 'all') return { topic, choose: (records) => ({ records, deadLetters: [] }) };
    if (typeof condition !== 'function') {
      const keep = filterRows(compileTyped('boolean', condition.where, schema));
      return { topic, choose: (records) => ({ records: keep(records), deadLetters: [] }) };
    }
    const rejected = new RejectedRecords(name);
    // The plan has checked that rows are of R: to what calls the function, rows are like all others.
    const call = condition as unknown as (row: Row) => boolean;
    const calls = new RowCalls({ name: `branch ${topic}`, errors: 'dead-letter', call }, schema, rejected);
    return {
      topic,
      choose: (records) => {
        const wanted = new Uint8Array(records.rowCount);
        const well = calls.run(records, (isWanted, row) => void (wanted[row] = isWanted ? 1 : 0));
        const chosen = well.filter((row) => wanted[row] === 1);
        return { records: keepRows(records, chosen), deadLetters: rejected.take() };
      },
    };
  });
}
