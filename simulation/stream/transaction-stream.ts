import { Xoshiro128 } from '../random/xoshiro128.ts';
import { ArrivalQueue, type Delayed } from './arrival-queue.ts';
import { entityIds } from './entity-ids.ts';
import { PurchaseFlow } from './purchase-flow.ts';
import { streamOptions, type StreamOptions } from './stream-options.ts';
import { defectKinds, defects, type TransactionChunk } from './transaction-chunk.ts';

/**
 * An endless stream of card transactions in the spirit of the Handbook's world: customers with habits and places, terminals in their reach, and
 * its three kinds of fraud; on request with the drift drill, late arrivals, duplicates and records that cannot be read. Called by
 * `sluice simulate`, the demo and the benchmarks, which set the pace: nothing is made before the next chunk is asked for.
 *
 * Deterministic: the same options give the same records, and the size of chunks changes only where they are cut. Each option draws its chances for
 * itself, so that switching one on leaves alone what it does not concern. Memory does not grow with the stream: a world of
 * 5,000 customers and 10,000 terminals takes 1 MB, and of the stream only the records that are on their way are held.
 *
 * @param overrides in place of the defaults.
 * @returns chunks of exactly `chunkRecords` rows each; the generator never ends by itself.
 * @throws {SluiceError} `SIMULATION_OPTION_INVALID` when the first chunk is asked for.
 */
export function* transactionStream(overrides: Partial<StreamOptions> = {}): Generator<TransactionChunk, never, void> {
  const options = streamOptions(overrides);
  const arrivals = new Arrivals(options);
  const cardIds = entityIds('card-', options.customers);
  const terminalIds = entityIds('terminal-', options.terminals);
  for (;;) {
    const rowCount = options.chunkRecords;
    const chunk = {
      rowCount,
      sequence: new Float64Array(rowCount),
      eventTimeMs: new Float64Array(rowCount),
      arrivalMs: new Float64Array(rowCount),
      card: new Uint32Array(rowCount),
      terminal: new Uint32Array(rowCount),
      amount: new Float64Array(rowCount),
      fraudScenario: new Uint8Array(rowCount),
      defect: new Uint8Array(rowCount),
      cardIds,
      terminalIds,
    };
    for (let row = 0; row < rowCount; row++) arrivals.writeNext(chunk, row);
    yield chunk;
  }
}

/** Purchases in order of arrival: some held back, some sent twice, some spoilt. */
class Arrivals {
  readonly #options: StreamOptions;
  readonly #purchases: PurchaseFlow;
  readonly #queue: ArrivalQueue = new ArrivalQueue();
  readonly #delays: Xoshiro128;
  readonly #repeats: Xoshiro128;
  readonly #defects: Xoshiro128;
  #sequence = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#purchases = new PurchaseFlow(options);
    this.#purchases.advance();
    this.#delays = new Xoshiro128(options.seed, 'delays');
    this.#repeats = new Xoshiro128(options.seed, 'duplicates');
    this.#defects = new Xoshiro128(options.seed, 'defects');
  }

  /** Writes the next record to arrive into the chunk. */
  writeNext(chunk: TransactionChunk, row: number): void {
    const { disorder, duplicates } = this.#options;
    const purchases = this.#purchases;
    for (;;) {
      if (this.#queue.nextArrivalMs <= purchases.eventTimeMs) {
        const delayed = this.#queue.shift();
        if (delayed !== undefined) {
          writeRow(chunk, row, delayed, delayed.sequence, delayed.arrivalMs, delayed.defect);
          return;
        }
      }
      const sequence = this.#sequence++;
      const delayMs = happens(this.#delays, disorder.share) ? 1 + this.#delays.below(disorder.maxDelayMs) : 0;
      const defect = happens(this.#defects, this.#options.malformedShare)
        ? 1 + this.#defects.below(defectKinds)
        : defects.none;
      const arrivalMs = purchases.eventTimeMs + Math.min(delayMs, disorder.maxDelayMs);
      if (happens(this.#repeats, duplicates.share)) {
        const repeatedMs = arrivalMs + this.#repeats.below(duplicates.withinMs + 1);
        this.#queue.push(delayedRecord(purchases, sequence, repeatedMs, defect));
      }
      if (delayMs === 0) {
        writeRow(chunk, row, purchases, sequence, arrivalMs, defect);
        purchases.advance();
        return;
      }
      this.#queue.push(delayedRecord(purchases, sequence, arrivalMs, defect));
      purchases.advance();
    }
  }
}

function happens(random: Xoshiro128, share: number): boolean {
  return share > 0 && random.nextDouble() < share;
}

function delayedRecord(purchase: PurchaseFlow, sequence: number, arrivalMs: number, defect: number): Delayed {
  const { eventTimeMs, card, terminal, amount, scenario } = purchase;
  return { arrivalMs, sequence, eventTimeMs, card, terminal, amount, scenario, defect };
}

function writeRow(
  chunk: TransactionChunk,
  row: number,
  record: PurchaseFlow | Delayed,
  sequence: number,
  arrivalMs: number,
  defect: number,
): void {
  chunk.sequence[row] = sequence;
  chunk.eventTimeMs[row] = record.eventTimeMs;
  chunk.arrivalMs[row] = arrivalMs;
  chunk.card[row] = record.card;
  chunk.terminal[row] = record.terminal;
  chunk.amount[row] = record.amount;
  chunk.fraudScenario[row] = record.scenario;
  chunk.defect[row] = defect;
}
