import { concatMap } from 'rxjs';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import type { Section } from '../../engine/execution/section.ts';
import { isValid, numberColumn, valueAt } from '../../engine/record/column.ts';
import { columnOf, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';

/** What the jobs of these tests read. */
export const inputSchema: Schema = new Schema([
  { name: 'id', type: 'string', presence: 'required' },
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'time', type: 'timestamp', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'required' },
]);

/**
 * A running total for each card, which is never evicted: the smallest state that tells a lost or repeated record by every later answer. Each
 * card's total is stored as decimal digits under the card's own bytes.
 */
export class RunningTotal implements StatefulLogic {
  readonly operatorId = 'total';
  readonly outputSchema: Schema;
  readonly #totals = new Map<string, number>();
  readonly #changed = new Set<string>();

  constructor(schema: Schema = inputSchema) {
    this.outputSchema = schema.with({ name: 'total', type: 'double', presence: 'required' });
  }

  async prefetch(batch: RecordBatch, reader: StateReader): Promise<void> {
    const missing = [...new Set(textsOf(batch, 'card'))].filter((card) => !this.#totals.has(card));
    const values = await reader.getMany(
      this.operatorId,
      missing.map((card) => Buffer.from(card)),
    );
    missing.forEach((card, i) => this.#totals.set(card, Number(Buffer.from(values[i] ?? Buffer.from('0')).toString())));
  }

  apply(batch: RecordBatch): RecordBatch {
    const amounts = columnOf(batch, 'amount');
    const totals = textsOf(batch, 'card').map((card, row) => {
      const total = (this.#totals.get(card) ?? 0) + Number(valueAt(amounts, row));
      this.#totals.set(card, total);
      this.#changed.add(card);
      return total;
    });
    return withColumns(batch, this.outputSchema, [numberColumn(Float64Array.from(totals))]);
  }

  takeChanges(): readonly StateWrite[] {
    const writes = [...this.#changed].map((card) => ({
      operatorId: this.operatorId,
      key: Buffer.from(card),
      value: Buffer.from(String(this.#totals.get(card))),
    }));
    this.#changed.clear();
    return writes;
  }

  dropChanges(): void {
    this.#changed.clear();
  }
}

/** A section of that one operator. */
export function runningTotalSection(_start: SectionStart, state: StateReader): Section {
  const logic = new RunningTotal();
  const operator = concatMap(async (batch: RecordBatch) => {
    await logic.prefetch(batch, state);
    return logic.apply(batch);
  });
  return { steps: [{ operator, fate: 'keeps' }], logics: [logic] };
}

/** A string column's values; empty where there is none. */
export function textsOf(batch: RecordBatch, column: string): string[] {
  const values = columnOf(batch, column);
  return Array.from({ length: batch.rowCount }, (_, row) => (isValid(values, row) ? String(valueAt(values, row)) : ''));
}
