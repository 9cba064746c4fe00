import { getJson, putJson } from './lmdb-environment.ts';
import type { Storage } from './storage.ts';

/** What a job of that digest said its state was: plain data, as {@link keepLayout} was given it. `undefined` for one that nobody has kept. */
export function keptLayout(storage: Storage, job: string, digest: string): unknown {
  return getJson(storage.environment.jobs, ['layout', job, digest]);
}

/** Keeps what the state of a job of that digest is, so that a changed job can be told what becomes of it. Written once for each digest. */
export function keepLayout(storage: Storage, job: string, digest: string, layout: object): void {
  const { environment } = storage;
  if (environment.jobs.getBinary(['layout', job, digest]) !== undefined) return;
  environment.write(`keep the layout of job ${job}`, () => putJson(environment.jobs, ['layout', job, digest], layout));
}
