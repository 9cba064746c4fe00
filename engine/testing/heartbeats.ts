import { map } from 'rxjs';
import type { QueryDefinition } from '../execution/query-definition.ts';
import { selectRows, type RecordBatch } from '../record/record-batch.ts';

/** A query whose heartbeats are taken out, and how many there were. */
export interface SiftedQuery {
  readonly query: QueryDefinition;
  /** How many were in the batch that was just committed. Asked once for each, in order. */
  readonly takeCount: () => number;
}

/**
 * The messages by which a test moves watermarks: read, timed and committed as any other, and taken out before the first operator, so that no answer is given for them.
 * Known by their positions, which outlive the process.
 */
export class Heartbeats {
  readonly #positions = new Set<string>();

  /** Says that the message at this position is one. */
  add(partition: number, offset: number): void {
    this.#positions.add(`${partition}/${offset}`);
  }

  /** The query with these messages taken out. Called for each life of its process. */
  without(query: QueryDefinition): SiftedQuery {
    let taken = 0;
    const counts: number[] = [];
    const sift = (batch: RecordBatch): RecordBatch => {
      const kept = this.#othersIn(batch);
      taken = batch.rowCount - kept.length;
      return taken === 0 ? batch : selectRows(batch, Int32Array.from(kept));
    };
    return {
      takeCount: () => counts.shift() ?? 0,
      query: {
        ...query,
        openSection: (start, state) => {
          const section = query.openSection(start, state);
          return { ...section, steps: [{ operator: map(sift), fate: 'filtered' }, ...section.steps] };
        },
        score: (records) => {
          // Batches that are replayed are not scored, nor are they counted again.
          counts.push(taken);
          return query.score(records);
        },
      },
    };
  }

  #othersIn(batch: RecordBatch): readonly number[] {
    const others: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      if (!this.#positions.has(`${batch.partitions[row]}/${batch.offsets[row]}`)) others.push(row);
    }
    return others;
  }
}
