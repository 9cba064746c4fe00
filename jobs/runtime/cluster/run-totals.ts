import type { StreamingQuery } from '../../../engine/execution/streaming-query.ts';
import { LatencyHistogram } from '../../../engine/observability/latency-histogram.ts';
import { addLedgers, emptyLedger, type LedgerCounts } from '../../../engine/observability/ledger.ts';

/** What the tasks of one stage have done in this process since it started. */
export interface StageTotals {
  readonly ledger: LedgerCounts;
  /** Decisions that were told anew. */
  readonly amended: number;
  /** Records that were answered from panes that their key has been compacted to. */
  readonly compacted: number;
  /** Records that full keys have let go before their time. */
  readonly letGoEarly: number;
  readonly replayedRecords: number;
  /** From a record's broker timestamp to its output being readable. */
  readonly latency: LatencyHistogram;
}

/** Sums the queries of tasks that come and go: a partition that is acquired anew is another query. */
export class RunTotals {
  readonly #running = new Set<StreamingQuery>();
  readonly #latency = new LatencyHistogram();
  #ledger: LedgerCounts = emptyLedger;
  #amended = 0;
  #compacted = 0;
  #letGoEarly = 0;
  #replayedRecords = 0;

  /** Counts a query in, until it has ended and after. Resolves and rejects as `run` does. */
  async of(query: StreamingQuery, run: () => Promise<void>): Promise<void> {
    this.#running.add(query);
    try {
      await run();
    } finally {
      this.#running.delete(query);
      const { ledger, amended, compacted, letGoEarly, replayedRecords, latency } = query.totals;
      this.#ledger = addLedgers(this.#ledger, ledger);
      this.#amended += amended;
      this.#compacted += compacted;
      this.#letGoEarly += letGoEarly;
      this.#replayedRecords += replayedRecords;
      this.#latency.add(latency);
    }
  }

  /** All of it up to now. */
  get totals(): StageTotals {
    const latency = new LatencyHistogram();
    latency.add(this.#latency);
    let [ledger, amended, replayedRecords] = [this.#ledger, this.#amended, this.#replayedRecords];
    let [compacted, letGoEarly] = [this.#compacted, this.#letGoEarly];
    for (const { totals } of this.#running) {
      ledger = addLedgers(ledger, totals.ledger);
      amended += totals.amended;
      compacted += totals.compacted;
      letGoEarly += totals.letGoEarly;
      replayedRecords += totals.replayedRecords;
      latency.add(totals.latency);
    }
    return { ledger, amended, compacted, letGoEarly, replayedRecords, latency };
  }
}
