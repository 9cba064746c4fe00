import type { Field, Schema } from '../../engine/record/schema.ts';
import { refusePromise } from '../row/call-outcome.ts';
import { cellsOf, type Cell } from '../row/output-rows.ts';
import { RowView, type Row, type RowValue } from '../row/row-view.ts';
import type { PatternRules } from './pattern-definition.ts';

/** A pattern's rules as a person's functions: synchronous, and of their arguments alone. */
export interface FunctionRules {
  /** Whether a record begins a match. */
  readonly first: (record: Row) => boolean;
  /** Whether a record completes the match that `first` began. */
  readonly followedBy: (record: Row, first: Row) => boolean;
  /** The result, of `outputs`. */
  readonly select: (record: Row, first: Row) => Row;
}

/**
 * Rules as functions.
 *
 * @param name the operator's, for errors.
 * @param carried the fields of first records that `followedBy` and `select` read; kept for each match that is begun.
 */
export function functionRules(
  { first, followedBy, select }: FunctionRules,
  name: string,
  carried: readonly string[],
  outputs: readonly Field[],
  schema: Schema,
): PatternRules {
  const kinds = carried.map((field) => schema.field(field)?.type);
  const view = new RowView(schema);
  const firstRow = (cells: readonly Cell[]): Row =>
    Object.fromEntries(
      carried.map((field, index): [string, RowValue] => {
        const cell = cells[index] ?? null;
        return [field, kinds[index] === 'boolean' && cell !== null ? cell === 1 : cell];
      }),
    );
  const truth = (given: unknown): boolean => {
    refusePromise(name, given);
    return given === true;
  };
  return {
    carried,
    outputs,
    open: (batch) => {
      view.open(batch);
      return {
        begins: (row) => truth(first(view.at(row))),
        complete: (row, firsts) => {
          const record = view.at(row);
          return firsts.map(({ cells }) => {
            const begun = firstRow(cells);
            return truth(followedBy(record, begun)) ? cellsOf(outputs, select(record, begun)) : null;
          });
        },
      };
    },
  };
}
