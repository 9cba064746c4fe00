import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bootId } from './boot-id.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import type { LmdbEnvironment } from './lmdb-environment.ts';
import { readMetas, type LmdbMeta } from './lmdb-file.ts';
import { checkpointName } from './prepare-file.ts';
import { storageError } from './storage-error.ts';

const flush = promisify(fdatasync);

/**
 * Makes what was committed survive the death of the machine, apart from the commits' own way: pins a snapshot so that none of its pages is
 * used again, flushes the file off the event loop, and writes the snapshot's root into a file of its own. After a power failure the log is
 * taken back to that root (`prepareFile`): whole, with its topics, state and offsets as of one commit.
 *
 * It is the idea of LMDB's third meta page in the lmdb package's `overlappingSync`, without a flush within each commit.
 */
export class Checkpointer {
  readonly #environment: LmdbEnvironment;
  readonly #bootId: string = bootId();
  readonly #fd: number;
  readonly #file: CheckpointFile;
  #release: (() => void) | null = null;
  #lastTxnId = -1;
  #running: Promise<void> | null = null;

  private constructor(environment: LmdbEnvironment, fd: number, file: CheckpointFile) {
    this.#environment = environment;
    this.#fd = fd;
    this.#file = file;
  }

  /** @throws {SluiceError} `STORAGE_FULL`, `STORAGE_FAILED` */
  static async open(environment: LmdbEnvironment): Promise<Checkpointer> {
    try {
      const file = await CheckpointFile.open(join(environment.directory, checkpointName));
      const checkpointer = new Checkpointer(environment, openSync(environment.dataPath, 'r'), file);
      await checkpointer.checkpoint();
      return checkpointer;
    } catch (thrown) {
      throw storageError('write a checkpoint of the log', environment.directory, thrown);
    }
  }

  /**
   * Resolves when everything committed before the call would survive the machine's death. Called at an interval, or after each commit by those
   * who cannot lose any; callers that come while one is under way share the next.
   */
  async checkpoint(): Promise<void> {
    while (this.#running !== null) await this.#running.catch(() => undefined);
    this.#running = this.#once();
    try {
      await this.#running;
    } catch (thrown) {
      throw storageError('write a checkpoint of the log', this.#environment.directory, thrown);
    } finally {
      this.#running = null;
    }
  }

  async #once(): Promise<void> {
    const release = this.#environment.pin();
    try {
      const meta = this.#newestMeta();
      if (meta.txnId !== this.#lastTxnId) {
        await flush(this.#fd);
        await this.#file.write({ meta, bootId: this.#bootId });
        this.#lastTxnId = meta.txnId;
      }
    } catch (thrown) {
      release();
      throw thrown;
    }
    this.#release?.();
    this.#release = release;
  }

  /** The last checkpoint, so that a log that was closed opens where it stood whatever happened to the machine in between. */
  async close(): Promise<void> {
    while (this.#running !== null) await this.#running.catch(() => undefined);
    try {
      const meta = this.#newestMeta();
      if (meta.txnId !== this.#lastTxnId) {
        fdatasyncSync(this.#fd);
        this.#file.writeSync({ meta, bootId: this.#bootId });
      }
    } finally {
      this.#release?.();
      this.#release = null;
      this.#file.close();
      closeSync(this.#fd);
    }
  }

  /** The newest meta; read until twice the same, since another process may be writing it. */
  #newestMeta(): LmdbMeta {
    for (;;) {
      const [first] = readMetas(this.#fd);
      const [second] = readMetas(this.#fd);
      if (first !== undefined && second !== undefined && first.raw.equals(second.raw)) return first;
    }
  }
}
