import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { SluiceError } from '../error.ts';
import { prepareFile } from './prepare-file.ts';
import { storageCorrupt, storageError } from './storage-error.ts';

/**
 * Room for the map, in address space only: memory and disk are used as the log grows. Large enough that no log meets it, so that
 * LMDB never has to map the file anew under its readers.
 */
const mapSizeBytes = 2 ** 40;
const formatVersion = 1;

/** `write` makes the directory if need be; `read` refuses one that holds no log. */
export type StorageAccess = 'write' | 'read';

/** A table of the environment: binary values under ordered keys. */
export type Table = Database<Buffer, (string | number)[]>;
/** A table whose keys are bytes already. */
export type ByteKeyedTable = Database<Buffer, Uint8Array>;

/**
 * The one LMDB environment of a data directory, and the only place where LMDB is called: tables, transactions, and what LMDB throws put
 * into words. Within a process it is opened once (`Storage` does); any number of processes may have it open.
 *
 * LMDB is opened without flushing at each commit. What a commit wrote is then in the system's cache when it returns, which every
 * death of the process survives; that a death of the *machine* is survived too is the work of `Checkpointer`.
 */
export class LmdbEnvironment {
  readonly directory: string;
  readonly dataPath: string;
  /** Names: topics, jobs, operators. JSON. */
  readonly catalog: Table;
  /** Messages: [topic id, partition, base offset] as 16 bytes → segment. */
  readonly segments: ByteKeyedTable;
  /** Where each partition starts and ends: [topic id, partition] → three float64. */
  readonly heads: Table;
  /** Where each job stands. JSON. */
  readonly jobs: Table;
  /** Keyed state: job id, operator id, key → value. */
  readonly state: ByteKeyedTable;
  /** State that was flushed and is to be merged into `state`: [job, sequence] → part. */
  readonly stateJournal: Table;
  readonly #root: RootDatabase<Buffer, (string | number)[]>;
  #closed = false;

  private constructor(directory: string, root: RootDatabase<Buffer, (string | number)[]>) {
    this.directory = directory;
    this.dataPath = join(directory, 'data.mdb');
    this.#root = root;
    const table = (name: string): Table => root.openDB(name, { encoding: 'binary' });
    const byteKeyed = (name: string): ByteKeyedTable =>
      root.openDB<Buffer, Uint8Array>(name, { encoding: 'binary', keyEncoding: 'binary' });
    this.catalog = table('catalog');
    this.segments = byteKeyed('segments');
    this.heads = table('heads');
    this.jobs = table('jobs');
    this.state = byteKeyed('state');
    this.stateJournal = table('stateJournal');
  }

  /**
   * @throws {SluiceError} `STORAGE_MISSING` (access `read`), `STORAGE_CORRUPT`, `STORAGE_VERSION`, `STORAGE_FULL`, `STORAGE_FAILED`
   */
  static open(directory: string, access: StorageAccess): LmdbEnvironment {
    if (access === 'read' && !existsSync(join(directory, 'data.mdb'))) {
      throw new SluiceError(
        'STORAGE_MISSING',
        `there must be a log in ${directory}; got none. Run a job with this data directory first, or name another one`,
        { fields: { directory } },
      );
    }
    try {
      mkdirSync(directory, { recursive: true });
      prepareFile(directory);
      const root = open<Buffer, (string | number)[]>({
        path: directory,
        noSubdir: false,
        encoding: 'binary',
        noSync: true,
        overlappingSync: false,
        mapSize: mapSizeBytes,
        maxDbs: 8,
      });
      const environment = new LmdbEnvironment(directory, root);
      environment.#checkFormat();
      return environment;
    } catch (thrown) {
      throw storageError('open the log', directory, thrown);
    }
  }

  /**
   * One transaction: all of what `body` writes, or, when it throws, nothing. Returns when the writes are visible to every reader in
   * every process. Synchronous, since LMDB is: a hundred microseconds for a batch, where handing it to a thread costs more.
   *
   * @param action for errors: what the transaction does.
   */
  write<T>(action: string, body: () => T): T {
    try {
      return this.#root.transactionSync(body);
    } catch (thrown) {
      throw storageError(action, this.directory, thrown);
    }
  }

  /** Runs reads, with what LMDB throws put into words. Reads of one turn of the event loop see one snapshot, unless `refresh` is called. */
  read<T>(action: string, body: () => T): T {
    try {
      return body();
    } catch (thrown) {
      throw storageError(action, this.directory, thrown);
    }
  }

  /** Makes the reads that follow see what other processes have committed by now. Costs less than a microsecond. */
  refresh(): void {
    this.#root.resetReadTxn();
  }

  /**
   * Holds the present snapshot: its pages, and those of every later one, are not used again until the pin is released.
   *
   * @returns the release.
   */
  pin(): () => void {
    this.#root.resetReadTxn();
    const transaction = this.#root.useReadTransaction();
    // A read makes LMDB take the snapshot now, not at the transaction's first use.
    this.catalog.get(['format'], { transaction });
    return () => {
      transaction.done();
    };
  }

  /** Ends open transactions and closes the file; a second call does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#root.close();
  }

  #checkFormat(): void {
    const found = this.catalog.getBinary(['format']);
    if (found === undefined) {
      this.write('begin the log', () => this.catalog.putSync(['format'], Buffer.of(formatVersion)));
    } else if (found[0] !== formatVersion) {
      const version = found[0] ?? 0;
      throw version > formatVersion
        ? new SluiceError(
            'STORAGE_VERSION',
            `the log in ${this.directory} must have format ${formatVersion}; got ${version}, which a newer Sluice wrote. Use that one, or another directory`,
            { fields: { directory: this.directory } },
          )
        : storageCorrupt(this.directory, `format ${version}`);
    }
  }
}

/** Reads a JSON value of a table; `undefined` when there is none. */
export function getJson(table: Table, key: (string | number)[]): unknown {
  const found = table.getBinary(key);
  return found === undefined ? undefined : JSON.parse(found.toString('utf8'));
}

/** Writes a JSON value within a transaction. */
export function putJson(table: Table, key: (string | number)[], value: unknown): void {
  table.putSync(key, Buffer.from(JSON.stringify(value)));
}
