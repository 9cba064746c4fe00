import { strict as assert } from 'node:assert';
import type { OffsetRange } from '../execution/commit-log.ts';
import type { StateWrite } from '../state/state-store.ts';
import type { Claim } from './claims.ts';
import { decodeJobRow, encodeJobRow, type JobRow } from './job-row.ts';
import { getJson, putJson } from './lmdb-environment.ts';
import { ReadOrder, type OrderRow } from './read-order.ts';
import { StateJournal } from './state-journal.ts';
import { statePrefix, StateNames } from './state-names.ts';
import { StateTable } from './state-table.ts';
import type { Storage } from './storage.ts';
import { nextId } from './topic-catalog.ts';

const keysAtOnce = 2_000;

/** Where the job stands with its new state. */
export interface SwappedTo {
  readonly row: JobRow;
  /** `all`: operators that were not staged have no state any more. `staged`: they keep theirs, which must stand where the row says. */
  readonly replaces: 'all' | 'staged';
  /**
   * `follows`: what a restart would replay is what the new state has passed. `stays`: it is still to be replayed. `restamped`: so it is, and the order's
   * watermarks are others. `recorded`: the order is another one from here on.
   */
  readonly order:
    'follows' | 'stays' | { readonly restamped: readonly OrderRow[] } | { readonly recorded: readonly OrderRow[] };
}

/**
 * State of a job that is written beside the state it has, and takes its place at once: for rebuilding it from the log, and for restoring a savepoint. Operators' state lies under
 * numbers; the new one's are made known in the one transaction that moves the job's row, so a process that dies at any moment leaves the one state or the other, whole.
 * What is left of the other is deleted behind that, or by the next swap.
 *
 *     begin(claim) → put(writes)* → activate(row)
 *
 * The caller holds the job's claim all the while, so that no run of the job is in between.
 */
export class StateSwap {
  readonly #storage: Storage;
  readonly #job: string;
  readonly #claim: Claim;
  readonly #jobId: number;
  readonly #staged = new Map<string, Buffer>();

  private constructor(storage: Storage, job: string, claim: Claim, jobId: number) {
    this.#storage = storage;
    this.#job = job;
    this.#claim = claim;
    this.#jobId = jobId;
  }

  /** Begins a swap, and deletes what former ones have left behind. */
  static begin(storage: Storage, job: string, claim: Claim): StateSwap {
    const { environment } = storage;
    const jobId = environment.write(`prepare state of job ${job}`, () => {
      const id = new StateNames(environment, job).ensureJob();
      for (const [operatorId, number] of catalogued(storage, 'staged', id)) {
        environment.catalog.removeSync(['staged', id, operatorId]);
        putJson(environment.catalog, ['dropped', id, String(number)], number);
      }
      return id;
    });
    const swap = new StateSwap(storage, job, claim, jobId);
    swap.#sweep();
    return swap;
  }

  /** Makes an operator known that may have no keys: its former state is replaced, too. */
  stage(operatorId: string): void {
    this.#prefixOf(operatorId);
  }

  /** Writes state beside the one in use, some keys at a time. */
  put(writes: readonly StateWrite[]): void {
    const { environment } = this.#storage;
    for (let from = 0; from < writes.length; from += keysAtOnce) {
      const some = writes.slice(from, from + keysAtOnce);
      for (const { operatorId } of some) this.#prefixOf(operatorId);
      environment.write(`write state of job ${this.#job} beside the one in use`, () => {
        for (const { operatorId, key, value } of some) {
          const stateKey = Buffer.concat([this.#prefixOf(operatorId), key]);
          if (value === null) environment.state.removeSync(stateKey);
          else environment.state.putSync(stateKey, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
        }
      });
    }
  }

  /** Puts the staged state in the place of the other, and the job where it belongs to, in one transaction; then deletes the other. */
  activate({ row, replaces, order }: SwappedTo): void {
    const { environment, claims } = this.#storage;
    const { catalog, jobs } = environment;
    // What is not merged yet belongs to the operators that keep their state.
    if (replaces === 'staged') this.#merge();
    environment.write(`put new state of job ${this.#job} in place`, () => {
      assert(claims.holds(this.#claim), 'whoever swaps state holds the job');
      if (replaces === 'all') new StateJournal(environment, this.#job).clear();
      for (const [operatorId, number] of catalogued(this.#storage, 'operator', this.#jobId)) {
        if (replaces === 'staged' && !this.#staged.has(operatorId)) continue;
        putJson(catalog, ['dropped', this.#jobId, String(number)], number);
        catalog.removeSync(['operator', this.#jobId, operatorId]);
      }
      for (const [operatorId, prefix] of this.#staged) {
        catalog.removeSync(['staged', this.#jobId, operatorId]);
        putJson(catalog, ['operator', this.#jobId, operatorId], prefix.readUInt32BE(4));
      }
      if (order !== 'stays') this.#follow(order);
      jobs.putSync(['job', this.#job], encodeJobRow(row));
    });
    this.#sweep();
  }

  #follow(order: Exclude<SwappedTo['order'], 'stays'>): void {
    const { environment } = this.#storage;
    const { jobs } = environment;
    const record = new ReadOrder(environment, this.#job);
    if (order !== 'follows' && 'restamped' in order) {
      record.replace(order.restamped);
      return;
    }
    const rows = [
      ...jobs.getRange({ start: ['replay', this.#job, 0], end: ['replay', this.#job, Number.MAX_SAFE_INTEGER] }),
    ];
    for (const { key } of rows) jobs.removeSync(key);
    if (order !== 'follows') {
      record.replace(order.recorded);
      return;
    }
    const stored = jobs.getBinary(['job', this.#job]);
    const before = stored === undefined ? null : (decodeJobRow(stored).stateMetadata?.watermarksMs ?? null);
    const ranges = rows.flatMap(({ value }) => JSON.parse(value.toString('utf8')) as readonly OffsetRange[]);
    record.append(ranges, before, new Map());
  }

  #merge(): void {
    const { environment } = this.#storage;
    const table = new StateTable(environment, this.#job);
    table.reload();
    environment.write('drop what a dead owner left of a flush', () => table.dropInactive());
    for (let from = 0; ;) {
      const step = environment.write('merge state', () => table.merge(from, keysAtOnce));
      if (step === null) return;
      step.done();
      from = step.next;
    }
  }

  #prefixOf(operatorId: string): Buffer {
    const known = this.#staged.get(operatorId);
    if (known !== undefined) return known;
    const { environment } = this.#storage;
    const prefix = environment.write('name an operator', () => {
      const number = nextId(environment, 'operator');
      putJson(environment.catalog, ['staged', this.#jobId, operatorId], number);
      return statePrefix(this.#jobId, number);
    });
    this.#staged.set(operatorId, prefix);
    return prefix;
  }

  /** Deletes the keys of operators that are in use no more. */
  #sweep(): void {
    const { environment } = this.#storage;
    for (const [name, number] of catalogued(this.#storage, 'dropped', this.#jobId)) {
      const range = {
        start: statePrefix(this.#jobId, number),
        end: statePrefix(this.#jobId, number + 1),
        limit: keysAtOnce,
      };
      for (let left = true; left;) {
        left = environment.write('delete state that is not in use', () => {
          const keys = [...environment.state.getKeys(range)].map((key) => Buffer.from(key));
          for (const key of keys) environment.state.removeSync(key);
          if (keys.length < keysAtOnce) environment.catalog.removeSync(['dropped', this.#jobId, name]);
          return keys.length === keysAtOnce;
        });
      }
    }
  }
}

/** The numbers that the catalog has under a name, by the operators' ids. */
function catalogued(
  { environment }: Storage,
  what: 'operator' | 'staged' | 'dropped',
  jobId: number,
): readonly (readonly [operatorId: string, number: number])[] {
  const keys = [...environment.catalog.getKeys({ start: [what, jobId], end: [what, jobId + 1] })];
  return keys.map((key) => [String(key[2]), Number(getJson(environment.catalog, key))]);
}
