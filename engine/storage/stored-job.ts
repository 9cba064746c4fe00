import type { OffsetRange } from '../execution/commit-log.ts';
import { decodeJobRow, type JobRow } from './job-row.ts';
import { getJson } from './lmdb-environment.ts';
import { joined, ReadOrder, type OrderRow } from './read-order.ts';
import type { Storage } from './storage.ts';

/** What the embedded store knows of a job, as of one moment. */
export interface StoredJob {
  readonly row: JobRow;
  /** In which order it read its partitions, up to where its state stands. */
  readonly order: readonly OrderRow[];
  /** What it has committed since, which a restart would replay. */
  readonly replay: readonly OffsetRange[];
}

/** Looks at a job, also while it runs; `null` for one that never committed. */
export function readStoredJob(storage: Storage, job: string): StoredJob | null {
  const { environment } = storage;
  environment.refresh();
  return environment.read(`look at job ${job}`, () => {
    const stored = environment.jobs.getBinary(['job', job]);
    if (stored === undefined) return null;
    const range = { start: ['replay', job, 0], end: ['replay', job, Number.MAX_SAFE_INTEGER] };
    const replay = [...environment.jobs.getRange(range)].flatMap(({ value }) => {
      return JSON.parse(value.toString('utf8')) as readonly OffsetRange[];
    });
    return { row: decodeJobRow(stored), order: new ReadOrder(environment, job).rows(), replay: joined(replay) };
  });
}

/** The ids of the operators that have had state in a job; some may have none now. */
export function storedOperators({ environment }: Storage, job: string): readonly string[] {
  const jobId = getJson(environment.catalog, ['job', job]);
  if (typeof jobId !== 'number') return [];
  const keys = environment.catalog.getKeys({ start: ['operator', jobId], end: ['operator', jobId + 1] });
  return [...keys].map((key) => String(key[2]));
}
