import { numberColumn, valueAt } from '../../../engine/record/column.ts';
import { columnOf, withColumns, type RecordBatch } from '../../../engine/record/record-batch.ts';
import type { Schema } from '../../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../../engine/state/stateful-logic.ts';

/** A running total for each card, which is never evicted: a record lost or repeated shows in every later answer. */
export class RunningTotal implements StatefulLogic {
  readonly operatorId = 'total';
  readonly outputSchema: Schema;
  readonly #totals = new Map<string, number>();
  readonly #changed = new Set<string>();

  constructor(schema: Schema) {
    this.outputSchema = schema.with({ name: 'total', type: 'double', presence: 'required' });
  }

  async prefetch(batch: RecordBatch, reader: StateReader): Promise<void> {
    const missing = [...new Set(cardsOf(batch))].filter((card) => !this.#totals.has(card));
    const values = await reader.getMany(
      this.operatorId,
      missing.map((card) => Buffer.from(card)),
    );
    missing.forEach((card, i) => this.#totals.set(card, Number(Buffer.from(values[i] ?? Buffer.from('0')).toString())));
  }

  apply(batch: RecordBatch): RecordBatch {
    const amounts = columnOf(batch, 'amount');
    const totals = cardsOf(batch).map((card, row) => {
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

function cardsOf(batch: RecordBatch): string[] {
  const cards = columnOf(batch, 'card');
  return Array.from({ length: batch.rowCount }, (_, row) => String(valueAt(cards, row)));
}
