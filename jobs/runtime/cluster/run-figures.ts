import type { LedgerCounts } from '../../../engine/observability/ledger.ts';
import type { StageTotals } from './run-totals.ts';

/** What a run has done, as its last line of output says it: the same keys as those of the embedded profile. */
export interface RunFigures extends LedgerCounts {
  /** Decisions that were told anew; in no other count. */
  readonly amended: number;
  /** Records that were answered from panes that their key has been compacted to, in each stage; in no other count. */
  readonly compacted: number;
  /** Records that keys which held as many as the job allows have let go before their time; in no other count. */
  readonly letGoEarly: number;
  readonly replayed: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/**
 * The figures of one worker. Where a job has several stages a record is read in the first and answered in the last, so each count is taken where a record meets its
 * fate; with several workers these may be different ones, and only the sum over all workers balances.
 *
 * @param stages in the order in which a record goes through them; at least one.
 * @param inputs how many of them read the job's inputs, from the first on.
 */
export function runFigures(stages: readonly StageTotals[], inputs: number): RunFigures {
  const last = stages.at(-1);
  const sum = (count: (ledger: LedgerCounts) => number): number =>
    stages.reduce((total, { ledger }) => total + count(ledger), 0);
  return {
    read: stages.slice(0, inputs).reduce((total, { ledger }) => total + ledger.read, 0),
    scored: last?.ledger.scored ?? 0,
    filtered: sum(({ filtered }) => filtered),
    duplicate: sum(({ duplicate }) => duplicate),
    late: last?.ledger.late ?? 0,
    deadLettered: sum(({ deadLettered }) => deadLettered),
    amended: stages.reduce((total, { amended }) => total + amended, 0),
    compacted: stages.reduce((total, { compacted }) => total + compacted, 0),
    letGoEarly: stages.reduce((total, { letGoEarly }) => total + letGoEarly, 0),
    replayed: stages.reduce((total, { replayedRecords }) => total + replayedRecords, 0),
    p50Ms: last?.latency.quantileMs(0.5) ?? null,
    p99Ms: last?.latency.quantileMs(0.99) ?? null,
  };
}

/**
 * The figures of several workers: counts are sums. Quantiles cannot be put together from quantiles, so they are the slowest worker's, which the true ones do not
 * exceed.
 */
export function sumFigures(workers: readonly RunFigures[]): RunFigures {
  const sum = (count: (figures: RunFigures) => number): number =>
    workers.reduce((total, figures) => total + count(figures), 0);
  const highest = (of: (figures: RunFigures) => number | null): number | null =>
    workers.reduce<number | null>((top, figures) => {
      const value = of(figures);
      return value === null || (top !== null && top >= value) ? top : value;
    }, null);
  return {
    read: sum(({ read }) => read),
    scored: sum(({ scored }) => scored),
    filtered: sum(({ filtered }) => filtered),
    duplicate: sum(({ duplicate }) => duplicate),
    late: sum(({ late }) => late),
    deadLettered: sum(({ deadLettered }) => deadLettered),
    amended: sum(({ amended }) => amended),
    compacted: sum(({ compacted }) => compacted),
    letGoEarly: sum(({ letGoEarly }) => letGoEarly),
    replayed: sum(({ replayed }) => replayed),
    p50Ms: highest(({ p50Ms }) => p50Ms),
    p99Ms: highest(({ p99Ms }) => p99Ms),
  };
}
