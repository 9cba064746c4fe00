import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { Acquired, Commit, CommitLog, OffsetRange } from '../execution/commit-log.ts';
import type { PartitionOffset } from '../source/source.ts';
import type { StateReader } from '../state/state-store.ts';
import type { Claim } from './claims.ts';
import { decodeJobRow, encodeJobRow, type JobRow } from './job-row.ts';
import { putJson } from './lmdb-environment.ts';
import { ReadOrder } from './read-order.ts';
import type { JournalPart } from './state-journal.ts';
import { defaultJournalBytes, StateKeeper } from './state-keeper.ts';
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
  /** Bytes of flushed state that may wait to be merged into their places: memory, and what a start reads at once. 16 MiB when left out. */
  readonly stateJournalBytes?: number;
}

/** A batch that a restart would replay. */
interface Unflushed {
  readonly sequence: number;
  readonly ranges: readonly OffsetRange[];
}

/**
 * The commit point of the embedded profile: one LMDB transaction holds a batch's outputs, its offsets, the order in which it read, and state that
 * has become whole (exactly-once, "The embedded profile").
 *
 * A commit without state adds a row that says which ranges it read, in order; rows are kept until a commit with state has passed them,
 * since until then a restart replays them; what they say is then put on record (`ReadOrder`), for whoever computes state anew from the log.
 */
export class EmbeddedCommitLog implements CommitLog {
  readonly #options: EmbeddedCommitLogOptions;
  readonly #table: StateTable;
  readonly #order: ReadOrder;
  #held: { readonly claim: Claim; readonly keeper: StateKeeper } | null = null;
  #row: JobRow | null = null;
  /** What a restart would replay, in order. */
  #unflushed: readonly Unflushed[] = [];

  constructor(options: EmbeddedCommitLogOptions) {
    this.#options = options;
    this.#table = new StateTable(options.storage.environment, options.job);
    this.#order = new ReadOrder(options.storage.environment, options.job);
  }

  get state(): StateReader {
    return this.#table;
  }

  /**
   * @throws {SluiceError} `DIRECTORY_IN_USE` when another living process runs the job; `LOG_TRUNCATED`, `STATE_AHEAD_OF_LOG`, `JOB_CHANGED`;
   *   each names what to do. After it the claim is given back.
   */
  async acquire(): Promise<Acquired> {
    assert(this.#held === null, 'a commit log is acquired once');
    const { storage, job, stateJournalBytes = defaultJournalBytes } = this.#options;
    const claim = await storage.claims.take(`job ${job}`);
    this.#held = { claim, keeper: new StateKeeper(storage, this.#table, claim, stateJournalBytes) };
    try {
      this.#table.reload();
      storage.environment.write(`take over the state of job ${job}`, () => {
        this.#table.dropInactive();
      });
      return storage.environment.read(`read where job ${job} stands`, () => this.#stand());
    } catch (thrown) {
      await this[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /**
   * Outputs and offsets take effect together, in one transaction. State does in the same one where it is little; more is stored beside the batches
   * that follow, and takes effect when all of it is there: until then a restart goes on from the flush before, and replays what came since.
   *
   * The bytes of state must not change after the call.
   *
   * @throws {SluiceError} `TASK_FENCED`, `STORAGE_FULL` (transient), `STATE_KEY_TOO_LONG`, `TOPIC_MISSING`, `PARTITION_MISSING`, `MESSAGE_TOO_LARGE`
   */
  async commit(batch: Commit): Promise<void> {
    const { storage, job } = this.#options;
    const held = this.#held;
    assert(held !== null, 'a commit log is acquired before it is committed to');
    const { claim, keeper } = held;
    if (batch.state !== null) {
      this.#table.check(batch.state.writes);
      await keeper.room();
    }
    const { jobs } = storage.environment;
    const own = batch.ranges.length === 0 ? [] : [{ sequence: batch.metadata.batchSequence, ranges: batch.ranges }];
    const { row, flush, activated } = storage.writeMessages(`commit a batch of job ${job}`, () => {
      if (!storage.claims.holds(claim)) throw this.#fenced();
      const nowMs = storage.clock.nowMs();
      for (const messages of batch.outputs) storage.log.append(storage.topic(messages.topic), messages, nowMs);
      const prepared = batch.state === null ? null : this.#table.prepare(batch.state.writes);
      const whole = prepared !== null && keeper.isInline(prepared) ? prepared : null;
      const advanced = this.#advance(batch, whole === null ? 'state stays' : 'state follows');
      // A flush on its own reads nothing, and has the sequence that the next batch will have.
      if (whole === null && own.length > 0) putJson(jobs, ['replay', job, batch.metadata.batchSequence], batch.ranges);
      if (whole !== null) this.#passReplays(this.#unflushed, batch.ranges);
      jobs.putSync(['job', job], encodeJobRow(advanced));
      return { row: advanced, flush: prepared, activated: whole === null ? null : this.#table.storeWhole(whole) };
    });
    this.#row = row;
    this.#unflushed = activated === null ? [...this.#unflushed, ...own] : [];
    if (flush !== null) this.#keep(keeper, row, this.#table.adopt(flush), activated);
    await storage.settle();
  }

  /** Resolves when all state that was flushed has taken effect in the store: for savepoints. */
  async settleState(): Promise<void> {
    await this.#held?.keeper.settled();
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    const held = this.#held;
    this.#held = null;
    if (held === null) return;
    await held.keeper.end();
    this.#options.storage.claims.release(held.claim);
  }

  /** Hands a flush to the keeper, which lets it take effect where the commit has not. */
  #keep(keeper: StateKeeper, at: JobRow, parts: readonly JournalPart[], activated: (() => void) | null): void {
    if (activated !== null) {
      activated();
      keeper.flushed();
      return;
    }
    const { storage, job } = this.#options;
    const passed = new Set(this.#unflushed);
    const isPassed = (unflushed: Unflushed): boolean => passed.has(unflushed);
    // The job has moved on by then; only where its state stands changes, and not for partitions of which it had read nothing yet.
    const moved = (): JobRow => {
      const row = this.#row ?? at;
      return { ...row, stateAt: withOffsets(row.stateAt, at.committed), stateMetadata: at.metadata };
    };
    keeper.stage({
      parts,
      activate: () => {
        this.#passReplays(this.#unflushed.filter(isPassed), []);
        storage.environment.jobs.putSync(['job', job], encodeJobRow(moved()));
      },
      activated: () => {
        this.#row = moved();
        this.#unflushed = this.#unflushed.filter((batch) => !isPassed(batch));
      },
    });
  }

  /** Puts on record in which order the state has passed these batches, and the one that it comes with, in place of the rows that a restart would replay. Within a transaction. */
  #passReplays(batches: readonly Unflushed[], own: readonly OffsetRange[]): void {
    const { storage, job, inputTopic } = this.#options;
    for (const { sequence } of batches) storage.environment.jobs.removeSync(['replay', job, sequence]);
    const ranges = inputTopic === null ? [] : storage.log.ranges(storage.topic(inputTopic));
    const starts = new Map(ranges.map(({ partition, startOffset }) => [partition, startOffset]));
    const before = this.#row?.stateMetadata?.watermarksMs ?? null;
    this.#order.append([...batches.flatMap((batch) => batch.ranges), ...own], before, starts);
  }

  #stand(): Acquired {
    const { storage, job } = this.#options;
    const { jobs } = storage.environment;
    const stored = jobs.getBinary(['job', job]);
    const row = stored === undefined ? null : decodeJobRow(stored);
    const replay: (readonly OffsetRange[])[] = [];
    const unflushed: Unflushed[] = [];
    for (const { key, value } of jobs.getRange({
      start: ['replay', job, 0],
      end: ['replay', job, Number.MAX_SAFE_INTEGER],
    })) {
      const ranges = JSON.parse(value.toString('utf8')) as readonly OffsetRange[];
      replay.push(ranges);
      unflushed.push({ sequence: Number(key[2]), ranges });
    }
    this.#unflushed = unflushed;
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
  #advance(batch: Commit, state: 'state follows' | 'state stays'): JobRow {
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
      stateAt: state === 'state stays' ? this.#stateAt(batch) : offsets,
      stateMetadata: state === 'state stays' ? (this.#row?.stateMetadata ?? null) : batch.metadata,
    };
  }

  /** State stays where it was; for a partition that is read for the first time, that is where the first batch started. */
  #stateAt(batch: Commit): readonly PartitionOffset[] {
    const before = this.#row?.stateAt ?? [];
    const first = batch.ranges.map(({ partition, from }) => ({ partition, offset: from }));
    return withOffsets(first.toReversed(), before);
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
    new ReadOrder(storage.environment, job).clear();
    const replays = [...jobs.getKeys({ start: ['replay', job, 0], end: ['replay', job, Number.MAX_SAFE_INTEGER] })];
    for (const key of replays) jobs.removeSync(key);
    jobs.removeSync(['job', job]);
  });
  storage.claims.release(claim);
}

/** Offsets by partition, with the newer ones where there are any. */
function withOffsets(
  offsets: readonly PartitionOffset[],
  newer: readonly PartitionOffset[],
): readonly PartitionOffset[] {
  const at = new Map([...offsets, ...newer].map(({ partition, offset }) => [partition, offset]));
  return [...at].map(([partition, offset]) => ({ partition, offset })).toSorted((a, b) => a.partition - b.partition);
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
