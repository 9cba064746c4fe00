import { map } from 'rxjs';
import type { QueryDefinition } from '../execution/query-definition.ts';
import { numberColumn, utf8ColumnOf, valueAt, type Column } from '../record/column.ts';
import { selectRows, type RecordBatch } from '../record/record-batch.ts';

/** A query that gives no answers to heartbeats, and how many there were. */
export interface SiftedQuery {
  readonly query: QueryDefinition;
  /** How many were in the batch that was just committed. Asked once for each, in order. */
  readonly takeCount: () => number;
}

/**
 * The messages by which a test moves watermarks: read, timed and committed as any other. Operators see them as rows of nothing but nulls, which no key has and no window takes
 * in, and which move their watermarks all the same; behind the operators they are taken out. Known by their positions, which outlive the process.
 */
export class Heartbeats {
  readonly #positions = new Set<string>();

  /** Says that the message at this position is one. */
  add(partition: number, offset: number): void {
    this.#positions.add(`${partition}/${offset}`);
  }

  /** The query, giving no answer to them. Called for each life of its process. */
  without(query: QueryDefinition): SiftedQuery {
    let inBatch = 0;
    const counts: number[] = [];
    const empty = map((batch: RecordBatch) => {
      const beats = this.#beatsIn(batch);
      inBatch = beats.length;
      return inBatch === 0 ? batch : withNulls(batch, beats);
    });
    const drop = map((batch: RecordBatch) => {
      const beats = new Set(this.#beatsIn(batch));
      if (beats.size === 0) return batch;
      return selectRows(
        batch,
        Int32Array.from(Array(batch.rowCount).keys()).filter((row) => !beats.has(row)),
      );
    });
    return {
      takeCount: () => counts.shift() ?? 0,
      query: {
        ...query,
        openSection: (start, state) => {
          const section = query.openSection(start, state);
          const emptied = { operator: empty, fate: 'keeps' } as const;
          // An operator that gives records of its own leaves out what has no key, and counts it, by itself.
          const dropped = section.emit === undefined ? [{ operator: drop, fate: 'filtered' } as const] : [];
          return { ...section, steps: [emptied, ...section.steps, ...dropped] };
        },
        score: (records) => {
          // Batches that are replayed are not scored, nor are they counted again.
          counts.push(inBatch);
          return query.score(records);
        },
      },
    };
  }

  #beatsIn(batch: RecordBatch): readonly number[] {
    const beats: number[] = [];
    if (this.#positions.size === 0) return beats;
    for (let row = 0; row < batch.rowCount; row++) {
      if (this.#positions.has(`${batch.partitions[row]}/${batch.offsets[row]}`)) beats.push(row);
    }
    return beats;
  }
}

/** The batch with some rows' values replaced by nulls. */
function withNulls(batch: RecordBatch, rows: readonly number[]): RecordBatch {
  const nulls = new Set(rows);
  const columns = batch.columns.map((column): Column => {
    if (column.kind === 'utf8') {
      const texts = Array.from({ length: batch.rowCount }, (_, row) => (nulls.has(row) ? null : valueAt(column, row)));
      return utf8ColumnOf(texts.map((text) => (text === null ? null : String(text))));
    }
    const valid = column.valid?.slice() ?? new Uint8Array(batch.rowCount).fill(1);
    for (const row of rows) valid[row] = 0;
    return numberColumn(column.values, valid);
  });
  return { ...batch, columns };
}
