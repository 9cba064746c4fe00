import { strict as assert } from 'node:assert';
import { SluiceError } from '../../error.ts';
import type { Acquired, Commit, CommitLog } from '../../execution/commit-log.ts';
import type { CommittedPosition } from '../../source/kafka/consumer-group.ts';
import type { StateReader } from '../../state/state-store.ts';
import { stateWentBack, taskFenced, type TaskState } from '../../state/redis/task-state.ts';
import { readNote, writeNote, type CommitNote } from './commit-note.ts';
import { ProducerFailure, type TaskProducer } from './task-producer.ts';

/** What a task's commit log works with. It owns the producers that it opens, and the state. */
export interface TaskCommitLogOptions {
  /** For errors, and the same for every owner: `app.job.topic-partition`. */
  readonly task: string;
  readonly partition: number;
  /** A new producer of this task, connected, before `init`. */
  openProducer(): Promise<TaskProducer>;
  /** The committed position of the task, as stable offsets. */
  committed(): Promise<CommittedPosition | null>;
  readonly state: TaskState;
  /** Whether this job may go on from what a job of that digest left (its own always may). */
  servesJob(digest: string): boolean;
  /** Aborted once the partition may be another worker's: nothing is committed after that. */
  readonly lost: AbortSignal;
}

/** How often a call whose fate is open is resumed before the producer is given up and the log itself is asked. */
const maxResumes = 3;

/** What a commit covers. Its sequence tells it from others that end where it does: one that has no records, and says that the partition is idle, moves no position. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly sequence: number;
}

/** What is known of the last batch that was begun. `unclear`: its transaction may be committed or not. */
interface Attempt extends Span {
  readonly fate: 'published' | 'unclear';
}

/** Where a task is committed, and by which batch; `null` where a person has set the position. */
interface Committed {
  readonly offset: number;
  readonly sequence: number | null;
}

/**
 * The commit point of a task in the cluster: a transaction of the log carries outputs and position, and the state follows it by compare-and-set
 * (exactly-once, "Acquire" and "A batch"). The log is the truth; the state never runs ahead of it, and what it lacks is replayed.
 *
 *     acquire ─► committed C ──begin, send, position X──► commit ──ok──► C = X ──due──► state S = X
 *                    ▲                │ failed               │ failed, or open
 *                    │                ▼                      ▼
 *                    ├────── new producer, init     new producer, init, ask for C ──committed──► C = X
 *                    └──────────────────────not committed────┘
 *
 * Knows neither Kafka nor Redis by name: the harness that breaks it runs this very code over models of both.
 */
export class TaskCommitLog implements CommitLog {
  readonly #options: TaskCommitLogOptions;
  #producer: TaskProducer | null = null;
  #epoch = 0;
  #origin: number | null = null;
  /** The last commit that is known; `null` where there never was one. */
  #committed: Committed | null = null;
  #stateOffset: number | null = null;
  #attempt: Attempt | null = null;
  #isClosed = false;

  constructor(options: TaskCommitLogOptions) {
    this.#options = options;
  }

  get state(): StateReader {
    return this.#options.state;
  }

  async acquire(): Promise<Acquired> {
    const { task, partition, state } = this.#options;
    await this.#openProducer();
    const position = await this.#options.committed();
    const note = position === null ? null : readNote(position.metadata, `the position of task ${task}`);
    const claim = await state.claim(note?.epoch ?? 0);
    const stateNote = claim.metadata === null ? null : readNote(claim.metadata, `the state of task ${task}`);

    const committed = position?.offset ?? null;
    if (claim.offset !== null && (committed === null || claim.offset > committed)) {
      throw await this.#stateAhead(claim.offset, committed);
    }
    for (const found of [note, stateNote]) if (found !== null) this.#checkJob(found);

    this.#epoch = claim.epoch;
    this.#origin = note?.origin ?? null;
    this.#committed = committedAt(position, note);
    this.#stateOffset = claim.offset;
    this.#attempt = null;
    // Lost state is rebuilt from where the task began, if the log still holds that; whoever replays checks it.
    const stateAt = claim.offset ?? this.#origin;
    const at = (offset: number | null): Acquired['committed'] => (offset === null ? [] : [{ partition, offset }]);
    return {
      committed: at(committed),
      metadata: note?.metadata ?? null,
      stateAt: at(stateAt),
      stateMetadata: stateNote?.metadata ?? null,
      replay:
        stateAt === null || committed === null || stateAt === committed
          ? []
          : [[{ partition, from: stateAt, to: committed }]],
    };
  }

  async commit(batch: Commit): Promise<void> {
    if (batch.ranges.length === 0) {
      await this.#commitStateAlone(batch);
      return;
    }
    const span = this.#span(batch);
    const { from, to } = span;
    this.#origin ??= from;
    const note = writeNote({ metadata: batch.metadata, epoch: this.#epoch, origin: this.#origin });
    if (this.#isAttempted(span)) {
      assert.equal(this.#attempt?.from, from, 'a commit that failed is made again as it was');
    } else {
      assert.equal(this.#committed?.offset ?? from, from, 'commits cover the log without gap or overlap');
      assert.notEqual(this.#attempt?.fate, 'unclear', 'a commit whose fate is open is made again before the next');
    }
    if (!this.#isPublished(span)) await this.#publish(batch, span, note);
    if (batch.state !== null && this.#stateOffset !== to) await this.#writeState(batch.state.writes, to, note);
  }

  /** Closes it; nothing may be called afterwards, and a commit that is under way ends without having any effect that it had not yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#dropProducer();
    await this.#options.state[Symbol.asyncDispose]();
  }

  /** A run that ends well brings the state up to its last batch; there is nothing to tell the log. */
  async #commitStateAlone({ outputs, metadata, state }: Commit): Promise<void> {
    assert.equal(outputs.length, 0, 'outputs come of records');
    const [at, origin] = [this.#committed?.offset ?? null, this.#origin];
    if (state === null || at === null || origin === null || at === this.#stateOffset) return;
    await this.#writeState(state.writes, at, writeNote({ metadata, epoch: this.#epoch, origin }));
  }

  #isAttempted({ to, sequence }: Span): boolean {
    return this.#attempt?.to === to && this.#attempt.sequence === sequence;
  }

  #isPublished(span: Span): boolean {
    return this.#isAttempted(span) && this.#attempt?.fate === 'published';
  }

  async #publish(batch: Commit, span: Span, note: string): Promise<void> {
    if (this.#attempt?.fate === 'unclear') {
      if (await this.#settle(this.#attempt)) return;
    } else if (this.#producer === null && !this.#isLast(await this.#reopen())) {
      throw taskFenced(this.#options.task);
    }
    this.#attempt = null;
    const producer = this.#producer;
    assert(producer !== null, 'a producer is open once the position is known');
    try {
      this.#checkNotLost();
      await producer.begin();
      for (const messages of batch.outputs) await producer.send(messages);
      await this.#resuming(() => producer.sendPosition({ offset: span.to, metadata: note }));
      this.#checkNotLost();
      this.#attempt = { ...span, fate: 'unclear' };
      await this.#resuming(() => producer.commit());
    } catch (error) {
      // Whatever it was, this producer is not used again, nor asked to abort: the next one's `init` settles the transaction, and answers to
      // the old one's requests that are still under way find nobody (librdkafka ends the process when they find the next transaction).
      await this.#dropProducer();
      throw this.#wordFor(error);
    }
    this.#published(span);
  }

  /** Makes a call of the producer, and again where that goes on from where it stopped. */
  async #resuming(call: () => Promise<void>): Promise<void> {
    for (let resumes = 0; ; resumes++) {
      try {
        await call();
        return;
      } catch (error) {
        const isOpen = error instanceof ProducerFailure && error.fault === 'resume';
        if (!isOpen || resumes >= maxResumes || this.#options.lost.aborted) throw error;
      }
    }
  }

  #published({ from, to, sequence }: Span): void {
    this.#attempt = { from, to, sequence, fate: 'published' };
    this.#committed = { offset: to, sequence };
  }

  /**
   * Finds out what became of a transaction whose commit was not answered: a new producer settles it, and then only the committed position is
   * believed.
   *
   * @returns whether it was committed
   */
  async #settle(attempt: Attempt): Promise<boolean> {
    const found = await this.#reopen();
    if (found?.offset === attempt.to && found.sequence === attempt.sequence) {
      this.#published(attempt);
      return true;
    }
    if (!this.#isLast(found)) throw taskFenced(this.#options.task);
    return false;
  }

  /**
   * Opens a producer in place of one that was given up. That fences whoever has the task, and while this owner stood still another one may have
   * had it, and committed: so the position is asked for each time.
   *
   * @returns where the task is committed, by this owner or one before it; `null` where it never was
   * @throws {SluiceError} `TASK_FENCED` where a later owner has committed.
   */
  async #reopen(): Promise<Committed | null> {
    const { task } = this.#options;
    this.#checkNotLost();
    await this.#openProducer();
    try {
      const position = await this.#options.committed();
      const note = position === null ? null : readNote(position.metadata, `the position of task ${task}`);
      if (note !== null && note.epoch > this.#epoch) throw taskFenced(task);
      return committedAt(position, note);
    } catch (error) {
      await this.#dropProducer();
      throw error;
    }
  }

  /** Whether nobody has committed since: a Redis that went back may have given a later owner the epoch of this one, and a commit without records moves no position. */
  #isLast(found: Committed | null): boolean {
    return found?.offset === this.#committed?.offset && found?.sequence === this.#committed?.sequence;
  }

  async #writeState(writes: Parameters<TaskState['write']>[0]['writes'], to: number, note: string): Promise<void> {
    this.#checkNotLost();
    const answer = await this.#options.state.write({ to, metadata: note, writes });
    switch (answer) {
      case 'ok':
      case 'already':
        this.#stateOffset = to;
        return;
      case 'mismatch':
        throw stateWentBack(this.#options.task);
      case 'fenced':
        throw taskFenced(this.#options.task);
    }
  }

  async #openProducer(): Promise<TaskProducer> {
    await this.#dropProducer();
    const producer = await this.#options.openProducer();
    this.#producer = producer;
    try {
      if (this.#isClosed) throw taskFenced(this.#options.task);
      await producer.init();
    } catch (error) {
      await this.#dropProducer();
      throw this.#wordFor(error);
    }
    return producer;
  }

  async #dropProducer(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    await producer?.[Symbol.asyncDispose]();
  }

  #wordFor(error: unknown): unknown {
    return error instanceof ProducerFailure && error.fault === 'fenced' ? taskFenced(this.#options.task, error) : error;
  }

  /** A query that ended leaves its last commit behind, whose retry would otherwise open a producer, and fence the task's next owner. */
  #checkNotLost(): void {
    if (this.#isClosed || this.#options.lost.aborted) throw taskFenced(this.#options.task);
  }

  #checkJob({ metadata }: CommitNote): void {
    if (this.#options.servesJob(metadata.jobDigest)) return;
    const { task } = this.#options;
    throw new SluiceError(
      'JOB_CHANGED',
      `task ${task} was left by a job of digest ${metadata.jobDigest}, whose state and outputs this job cannot take up; ` +
        'see `sluice plan --diff`, and run the former job, or this one under another name',
      { fields: { task, jobDigest: metadata.jobDigest } },
    );
  }

  async #stateAhead(stateOffset: number, committed: number | null): Promise<SluiceError> {
    const { task } = this.#options;
    // A worker that stood still between the two questions knows an old position: another one has had the task since.
    if (((await this.#options.committed())?.offset ?? null) !== committed) return taskFenced(task);
    return new SluiceError(
      'STATE_AHEAD_OF_LOG',
      `the state of task ${task} must not be ahead of its committed position; it is at ${stateOffset}, the position ` +
        `${committed === null ? 'is gone' : `at ${committed}`}. The position was reset or has expired, or the topic was made anew: ` +
        'put the position back, or delete the state to rebuild it from the log',
      { fields: { task, stateOffset, committed } },
    );
  }

  #span({ ranges, metadata }: Commit): Span {
    const [first, last] = [ranges[0], ranges.at(-1)];
    assert(first !== undefined && last !== undefined, 'a batch covers something');
    ranges.forEach(({ partition, from }, i) => {
      assert.equal(partition, this.#options.partition, 'a task commits its own partition');
      assert.equal(from, ranges[i - 1]?.to ?? from, 'the ranges of a batch follow each other');
    });
    return { from: first.from, to: last.to, sequence: metadata.batchSequence };
  }
}

function committedAt(position: CommittedPosition | null, note: CommitNote | null): Committed | null {
  return position === null ? null : { offset: position.offset, sequence: note?.metadata.batchSequence ?? null };
}
