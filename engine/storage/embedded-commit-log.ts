import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { Acquired, Commit, CommitLog, OffsetRange } from '../execution/commit-log.ts';
import type { PartitionOffset } from '../source/source.ts';
import type { StateReader } from '../state/state-store.ts';
import type { Claim } from './claims.ts';
import { decodeJobRow, encodeJobRow, type JobRow } from './job-row.ts';
import { putJson } from './lmdb-environment.ts';
import { StateTable } from './state-table.ts';
import type { Storage } from './storage.ts';

/** Which task, and what it must fit. */
export interface EmbeddedCommitLogOptions {
  readonly storage: Storage;
  /** The job's name: one task a job, as the embedded profile has it. */
  readonly job: string;
  /** Digest of what decides the job's outputs and state, as in `CommitMetadata`. */
  readonly jobDigest: string;
  /** The topic that the offsets belong to, checked to reach back to the state's; `null` where the source is no topic (a file). */
  readonly inputTopic: string | null;
}

/**
 * The commit point of the embedded profile: one LMDB transaction holds a batch's outputs, its offsets, the order in which it read, and, when
 * given, the state (exactly-once, "The embedded profile").
 *
 * A commit without state adds a row that says which ranges it read, in order; rows are kept until a commit with state has passed them,
 * since until then a restart replays them.
 */
export class EmbeddedCommitLog implements CommitLog {
  readonly #options: EmbeddedCommitLogOptions;
  readonly #table: StateTable;
  #claim: Claim | null = null;
  #row: JobRow | null = null;
  /** Batch sequences of the rows that a restart would replay. */
  #unflushed: number[] = [];

  constructor(options: EmbeddedCommitLogOptions) {
    this.#options = options;
    this.#table = new StateTable(options.storage.environment, options.job);
  }

  get state(): StateReader {
    return this.#table;
  }

  /**
   * @throws {SluiceError} `DIRECTORY_IN_USE` when another living process runs the job; `LOG_TRUNCATED`, `STATE_AHEAD_OF_LOG`, `JOB_CHANGED`;
   *   each names what to do. After it the claim is given back.
   */
  async acquire(): Promise<Acquired> {
    assert(this.#claim === null, 'a commit log is acquired once');
    const { storage, job } = this.#options;
    this.#claim = await storage.claims.take(`job ${job}`);
    try {
      storage.environment.refresh();
      return storage.environment.read(`read where job ${job} stands`, () => this.#stand());
    } catch (thrown) {
      await this[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  async commit(batch: Commit): Promise<void> {
    const { storage, job } = this.#options;
    const claim = this.#claim;
    assert(claim !== null, 'a commit log is acquired before it is committed to');
    const row = this.#advance(batch);
    const { jobs } = storage.environment;
    storage.writeMessages(`commit a batch of job ${job}`, () => {
      if (!storage.claims.holds(claim)) throw this.#fenced();
      const nowMs = storage.clock.nowMs();
      for (const messages of batch.outputs) storage.log.append(storage.topic(messages.topic), messages, nowMs);
      if (batch.state === null) {
        putJson(jobs, ['replay', job, batch.metadata.batchSequence], batch.ranges);
      } else {
        this.#table.put(batch.state.writes);
        for (const sequence of this.#unflushed) jobs.removeSync(['replay', job, sequence]);
      }
      jobs.putSync(['job', job], encodeJobRow(row));
    });
    this.#row = row;
    this.#unflushed = batch.state === null ? [...this.#unflushed, batch.metadata.batchSequence] : [];
    await storage.settle();
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    const claim = this.#claim;
    this.#claim = null;
    if (claim !== null) this.#options.storage.claims.release(claim);
    return Promise.resolve();
  }

  #stand(): Acquired {
    const { storage, job } = this.#options;
    const { jobs } = storage.environment;
    const stored = jobs.getBinary(['job', job]);
    const row = stored === undefined ? null : decodeJobRow(stored);
    const replay: (readonly OffsetRange[])[] = [];
    this.#unflushed = [];
    for (const { key, value } of jobs.getRange({
      start: ['replay', job, 0],
      end: ['replay', job, Number.MAX_SAFE_INTEGER],
    })) {
      replay.push(JSON.parse(value.toString('utf8')) as readonly OffsetRange[]);
      this.#unflushed.push(Number(key[2]));
    }
    this.#row = row;
    if (row === null) return { committed: [], metadata: null, stateAt: [], stateMetadata: null, replay };
    this.#check(row);
    const { committed, metadata, stateAt, stateMetadata } = row;
    return { committed, metadata, stateAt, stateMetadata, replay };
  }

  /** `logStart ≤ S ≤ C ≤ logEnd`, and the job is the one that the state belongs to. */
  #check(row: JobRow): void {
    const { storage, job, jobDigest, inputTopic } = this.#options;
    if (row.metadata.jobDigest !== jobDigest) {
      throw new SluiceError(
        'JOB_CHANGED',
        `job ${job} must be the one that its progress in ${storage.directory} belongs to (digest ${row.metadata.jobDigest}); got another (${jobDigest}). ` +
          `Put the job file back, give the changed job a name of its own, or forget the old job's progress and state`,
        { fields: { job, storedDigest: row.metadata.jobDigest, jobDigest } },
      );
    }
    const ranges =
      inputTopic === null ? null : new Map(storage.ranges(inputTopic).map((range) => [range.partition, range]));
    for (const { partition, offset: committed } of row.committed) {
      const state = offsetIn(row.stateAt, partition) ?? committed;
      if (state > committed) {
        throw new SluiceError(
          'STATE_AHEAD_OF_LOG',
          `the state of job ${job}, partition ${partition}, must not be ahead of its committed offset ${committed}; got ${state}. ` +
            `The directory was put together from two copies: take one of them whole`,
          { fields: { job, partition, stateOffset: state, committedOffset: committed } },
        );
      }
      if (ranges === null) continue;
      const { startOffset, endOffset } = ranges.get(partition) ?? { startOffset: 0, endOffset: 0 };
      // What state has passed is not read again, so a log that starts at the state's offset is enough.
      if (state < startOffset || committed > endOffset)
        throw truncated(job, inputTopic ?? '', partition, state, committed, startOffset, endOffset);
    }
  }

  /** Where the job stands after the batch; a batch that does not join on to the last one is a bug of the batch loop. */
  #advance(batch: Commit): JobRow {
    const committed = new Map(this.#row?.committed.map(({ partition, offset }) => [partition, offset]));
    for (const { partition, from, to } of batch.ranges) {
      const at = committed.get(partition);
      assert(
        at === undefined || at === from,
        `a batch joins on to the last one: partition ${partition} stands at ${at}, the batch starts at ${from}`,
      );
      assert(from <= to, `a range does not go back: [${from}, ${to})`);
      committed.set(partition, to);
    }
    const offsets = [...committed]
      .map(([partition, offset]) => ({ partition, offset }))
      .toSorted((a, b) => a.partition - b.partition);
    return {
      committed: offsets,
      metadata: batch.metadata,
      stateAt: batch.state === null ? this.#stateAt(batch) : offsets,
      stateMetadata: batch.state === null ? (this.#row?.stateMetadata ?? null) : batch.metadata,
    };
  }

  /** State stays where it was; for a partition that is read for the first time, that is where the first batch started. */
  #stateAt(batch: Commit): readonly PartitionOffset[] {
    const stateAt = new Map((this.#row?.stateAt ?? []).map(({ partition, offset }) => [partition, offset]));
    for (const { partition, from } of batch.ranges) if (!stateAt.has(partition)) stateAt.set(partition, from);
    return [...stateAt]
      .map(([partition, offset]) => ({ partition, offset }))
      .toSorted((a, b) => a.partition - b.partition);
  }

  #fenced(): SluiceError {
    const { job, storage } = this.#options;
    return new SluiceError(
      'TASK_FENCED',
      `job ${job} must be committed to by its owner alone; it was acquired again since, so this batch was not written to ${storage.directory}. ` +
        `The newer owner goes on from the last commit; nothing is to be done here`,
      { fields: { job, directory: storage.directory } },
    );
  }
}

/** Forgets a job's progress and state, so that the next run starts anew; its outputs stay. @throws {SluiceError} `DIRECTORY_IN_USE` while it runs. */
export async function forgetJob(storage: Storage, job: string): Promise<void> {
  const claim = await storage.claims.take(`job ${job}`);
  const { jobs } = storage.environment;
  storage.environment.write(`forget job ${job}`, () => {
    new StateTable(storage.environment, job).clear();
    const replays = [...jobs.getKeys({ start: ['replay', job, 0], end: ['replay', job, Number.MAX_SAFE_INTEGER] })];
    for (const key of replays) jobs.removeSync(key);
    jobs.removeSync(['job', job]);
  });
  storage.claims.release(claim);
}

function offsetIn(offsets: readonly PartitionOffset[], partition: number): number | undefined {
  return offsets.find((candidate) => candidate.partition === partition)?.offset;
}

function truncated(
  job: string,
  topic: string,
  partition: number,
  state: number,
  committed: number,
  startOffset: number,
  endOffset: number,
): SluiceError {
  return new SluiceError(
    'LOG_TRUNCATED',
    `topic ${topic}, partition ${partition}, must hold the offsets from ${state} (where the state of job ${job} stands) to ${committed} (where its commits do); ` +
      `got ${startOffset} to ${endOffset}. ` +
      (committed > endOffset
        ? 'The topic was made anew: forget the progress of the job to start over on it'
        : "The topic's retention is shorter than the job needs: forget the job's progress and rebuild its state from what is left, knowing that older records are missing"),
    { fields: { job, topic, partition, stateOffset: state, committedOffset: committed, startOffset, endOffset } },
  );
}
