import { SluiceError } from '../error.ts';
import type { StateEntry, StateReader, StateWrite } from '../state/state-store.ts';
import { getJson, putJson, type LmdbEnvironment } from './lmdb-environment.ts';
import { nextId } from './topic-catalog.ts';

/** LMDB's own limit is 1,978 bytes; a card number has 16. */
const maxKeyBytes = 1024;
const prefixBytes = 8;
/** Entries that a scan reads before it lets others have their turn. */
const scanChunk = 1_000;

/**
 * One job's keyed state: [job id, operator id, key] → value, so that an operator's keys stand together in byte order. Reads are
 * synchronous underneath (memory-mapped, 2 µs a key); writes happen within the commit that they belong to.
 */
export class StateTable implements StateReader {
  readonly #environment: LmdbEnvironment;
  readonly #job: string;
  readonly #prefixes = new Map<string, Buffer>();
  readonly #key: Buffer = Buffer.allocUnsafe(prefixBytes + maxKeyBytes);

  constructor(environment: LmdbEnvironment, job: string) {
    this.#environment = environment;
    this.#job = job;
  }

  getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    return new Promise((done) => {
      const prefix = this.#prefix(operatorId);
      if (prefix === null) {
        done(keys.map(() => null));
        return;
      }
      done(
        this.#environment.read('read state', () =>
          keys.map((key) => this.#environment.state.getBinary(this.#stateKey(prefix, operatorId, key)) ?? null),
        ),
      );
    });
  }

  async *scan(operatorId: string): AsyncIterable<StateEntry> {
    const prefix = this.#prefix(operatorId);
    if (prefix === null) return;
    const end = Buffer.from(prefix);
    end.writeUInt32BE(prefix.readUInt32BE(4) + 1, 4);
    let start = prefix;
    let exclusiveStart = false;
    for (;;) {
      const chunk = this.#environment.read('read state', () =>
        [...this.#environment.state.getRange({ start, end, exclusiveStart, limit: scanChunk })].map(
          ({ key, value }) => ({
            key: Uint8Array.from(key),
            value: Uint8Array.from(value),
          }),
        ),
      );
      for (const { key, value } of chunk) yield { key: key.subarray(prefixBytes), value };
      const last = chunk.at(-1);
      if (last === undefined || chunk.length < scanChunk) return;
      start = Buffer.from(last.key);
      exclusiveStart = true;
    }
  }

  /** Puts a commit's state. Within its transaction. @throws {SluiceError} `STATE_KEY_TOO_LONG` */
  put(writes: readonly StateWrite[]): void {
    // Not kept: names that are new in this transaction are another's numbers if it fails.
    const prefixes = new Map<string, Buffer>();
    for (const { operatorId, key, value } of writes) {
      let prefix = prefixes.get(operatorId);
      if (prefix === undefined) {
        prefix = this.#prefixes.get(operatorId) ?? this.#find(operatorId) ?? this.#make(operatorId);
        prefixes.set(operatorId, prefix);
      }
      const stateKey = this.#stateKey(prefix, operatorId, key);
      if (value === null) this.#environment.state.removeSync(stateKey);
      else this.#environment.state.putSync(stateKey, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    }
  }

  /** Removes all state of the job. Within a transaction. */
  clear(): void {
    const jobId = this.#jobId();
    if (jobId === null) return;
    const start = Buffer.alloc(prefixBytes);
    start.writeUInt32BE(jobId, 0);
    const end = Buffer.alloc(prefixBytes);
    end.writeUInt32BE(jobId + 1, 0);
    const keys = [...this.#environment.state.getKeys({ start, end })].map((key) => Buffer.from(key));
    for (const key of keys) this.#environment.state.removeSync(key);
  }

  #stateKey(prefix: Buffer, operatorId: string, key: Uint8Array): Buffer {
    if (key.length > maxKeyBytes) {
      throw new SluiceError(
        'STATE_KEY_TOO_LONG',
        `a key of operator ${operatorId} must have at most ${maxKeyBytes} bytes; got ${key.length}. Refuse such records before they are keyed`,
        { fields: { job: this.#job, operator: operatorId, keyBytes: key.length } },
      );
    }
    prefix.copy(this.#key);
    this.#key.set(key, prefixBytes);
    return this.#key.subarray(0, prefixBytes + key.length);
  }

  #prefix(operatorId: string): Buffer | null {
    const known = this.#prefixes.get(operatorId) ?? this.#find(operatorId);
    if (known !== null) this.#prefixes.set(operatorId, known);
    return known;
  }

  #find(operatorId: string): Buffer | null {
    const jobId = this.#jobId();
    const id = jobId === null ? undefined : getJson(this.#environment.catalog, ['operator', jobId, operatorId]);
    return jobId === null || typeof id !== 'number' ? null : prefixOf(jobId, id);
  }

  #make(operatorId: string): Buffer {
    let jobId = this.#jobId();
    if (jobId === null) {
      jobId = nextId(this.#environment, 'job');
      putJson(this.#environment.catalog, ['job', this.#job], jobId);
    }
    const id = nextId(this.#environment, 'operator');
    putJson(this.#environment.catalog, ['operator', jobId, operatorId], id);
    return prefixOf(jobId, id);
  }

  #jobId(): number | null {
    const id = getJson(this.#environment.catalog, ['job', this.#job]);
    return typeof id === 'number' ? id : null;
  }
}

function prefixOf(jobId: number, operatorId: number): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(jobId, 0);
  prefix.writeUInt32BE(operatorId, 4);
  return prefix;
}
