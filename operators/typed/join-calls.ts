import { strict as assert } from 'node:assert';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { isValid, numberColumn } from '../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { functionFailed, isOfTheJob, refusePromise, rejectionOf, type ErrorPolicy } from '../row/call-outcome.ts';
import { cellsOf, columnOfCells, type Cell } from '../row/output-rows.ts';
import { keepRows } from '../row/row-calls.ts';
import { RowView, type Row } from '../row/row-view.ts';

/** Which side of a join. */
export type PairSide = 'left' | 'right';

/** A column of each side that says of a result whether the side's record is there. */
export function presenceColumn(side: PairSide): string {
  return columnOfSide(side, '(there)');
}

/** What a side's field is called in the results of a join. */
export function columnOfSide(side: PairSide, field: string): string {
  return `${side}.${field}`;
}

/** A function of two records, either of which may not be there. */
export interface PairFunction<Given> {
  readonly operatorId: string;
  readonly errors: ErrorPolicy;
  /** Called for each pair; synchronous, and of its arguments alone, which are valid while it runs. */
  readonly call: (left: Row | null, right: Row | null) => Given;
}

/** Calls a person's function for each row of a join's results, with the two records that it is made of. */
class PairCalls<Given> {
  readonly #function: PairFunction<Given>;
  readonly #rejected: RejectedRecords;
  readonly #sides: readonly { readonly side: PairSide; readonly schema: Schema; readonly view: RowView }[];

  constructor(given: PairFunction<Given>, left: Schema, right: Schema, rejected: RejectedRecords) {
    this.#function = given;
    this.#rejected = rejected;
    this.#sides = [
      { side: 'left', schema: left, view: new RowView(left) },
      { side: 'right', schema: right, view: new RowView(right) },
    ];
  }

  /** @returns the rows that went well. */
  run(batch: RecordBatch, take: (given: Given, row: number) => void): Int32Array {
    const { operatorId, errors, call } = this.#function;
    const [left, right] = this.#sides.map(({ side, schema, view }) => {
      const columns = schema.fields.map(({ name }) => columnOf(batch, columnOfSide(side, name)));
      view.open({ ...batch, schema, columns });
      const there = columnOf(batch, presenceColumn(side));
      return (row: number): Row | null => (isValid(there, row) ? view.at(row) : null);
    });
    assert(left !== undefined && right !== undefined);
    const well: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      try {
        const given = call(left(row), right(row));
        refusePromise(operatorId, given);
        take(given, row);
        well.push(row);
      } catch (thrown) {
        if (isOfTheJob(thrown)) throw thrown;
        if (errors === 'fail') {
          throw functionFailed(
            operatorId,
            `at partition ${batch.partitions[row]}, offset ${batch.offsets[row]}`,
            thrown,
          );
        }
        this.#rejected.add(batch, row, rejectionOf(operatorId, thrown));
      }
    }
    return Int32Array.from(well);
  }
}

/** A function that makes a join's results of its records. */
export function pairSelection(
  given: PairFunction<Row>,
  fields: readonly Field[],
  left: Schema,
  right: Schema,
  rejected: RejectedRecords,
): (batch: RecordBatch) => RecordBatch {
  const call = (one: Row | null, other: Row | null): readonly Cell[] => {
    const row = given.call(one, other);
    refusePromise(given.operatorId, row);
    return cellsOf(fields, row);
  };
  const calls = new PairCalls({ ...given, call }, left, right, rejected);
  const schema = new Schema(fields);
  return (batch) => {
    const cells = fields.map((): Cell[] => []);
    const well = calls.run(batch, (made) => made.forEach((cell, index) => cells[index]?.push(cell)));
    const columns = fields.map(({ type }, index) => columnOfCells(type === 'string', cells[index] ?? []));
    return { ...keepRows(batch, well), schema, columns };
  };
}

/** A function that says which records are partners, as a condition over a join's results. A pair that it throws on is none. */
export function pairCondition(
  given: PairFunction<boolean>,
  left: Schema,
  right: Schema,
  rejected: RejectedRecords,
): CompiledExpression {
  const calls = new PairCalls(given, left, right, rejected);
  return {
    text: given.operatorId,
    canonical: given.operatorId,
    type: 'boolean',
    reads: [],
    evaluate: (batch) => {
      const verdicts = new Float64Array(batch.rowCount);
      calls.run(batch, (isPartner, row) => void (verdicts[row] = isPartner ? 1 : 0));
      return numberColumn(verdicts);
    },
    toClickHouseSql: () => assert.fail('a function has no SQL'),
  };
}
