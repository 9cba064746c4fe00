import { getJson, putJson, type LmdbEnvironment } from './lmdb-environment.ts';
import { nextId } from './topic-catalog.ts';

/** Bytes before the key itself: the job's number and the operator's. */
export const statePrefixBytes = 8;

/**
 * The numbers that stand for a job and its operators in the keys of its state, so that an operator's keys stand together in byte order, and short.
 */
export class StateNames {
  readonly #environment: LmdbEnvironment;
  readonly #job: string;
  readonly #known = new Map<string, Buffer>();

  constructor(environment: LmdbEnvironment, job: string) {
    this.#environment = environment;
    this.#job = job;
  }

  /** What an operator's keys begin with; `null` when it has never had state. */
  prefixOf(operatorId: string): Buffer | null {
    const known = this.#known.get(operatorId) ?? this.#find(operatorId);
    if (known !== null) this.#known.set(operatorId, known);
    return known;
  }

  /**
   * The prefixes of several operators, made for those that are new. Within a transaction; nothing new is remembered here, since the transaction
   * may still fail, and then the numbers are another's.
   */
  ensure(operatorIds: Iterable<string>): ReadonlyMap<string, Buffer> {
    return new Map(
      [...operatorIds].map((operatorId) => [
        operatorId,
        this.#known.get(operatorId) ?? this.#find(operatorId) ?? this.#make(operatorId),
      ]),
    );
  }

  /** Where the keys of the whole job start and end; `null` when it never had state. */
  jobRange(): { readonly start: Buffer; readonly end: Buffer } | null {
    const jobId = this.#jobId();
    return jobId === null ? null : { start: statePrefix(jobId, 0), end: statePrefix(jobId + 1, 0) };
  }

  /** The job's number, made for one that is new. Within a transaction. */
  ensureJob(): number {
    return this.#jobId() ?? this.#makeJob();
  }

  #find(operatorId: string): Buffer | null {
    const jobId = this.#jobId();
    const id = jobId === null ? undefined : getJson(this.#environment.catalog, ['operator', jobId, operatorId]);
    return jobId === null || typeof id !== 'number' ? null : statePrefix(jobId, id);
  }

  #make(operatorId: string): Buffer {
    const jobId = this.ensureJob();
    const id = nextId(this.#environment, 'operator');
    putJson(this.#environment.catalog, ['operator', jobId, operatorId], id);
    return statePrefix(jobId, id);
  }

  #makeJob(): number {
    const jobId = nextId(this.#environment, 'job');
    putJson(this.#environment.catalog, ['job', this.#job], jobId);
    return jobId;
  }

  #jobId(): number | null {
    const id = getJson(this.#environment.catalog, ['job', this.#job]);
    return typeof id === 'number' ? id : null;
  }
}

/** What the keys of an operator begin with. */
export function statePrefix(jobId: number, operatorId: number): Buffer {
  const bytes = Buffer.alloc(statePrefixBytes);
  bytes.writeUInt32BE(jobId, 0);
  bytes.writeUInt32BE(operatorId, 4);
  return bytes;
}
