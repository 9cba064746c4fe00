/** When the partitions of an input count as idle, and what becomes of their watermarks then. */
export interface IdleInput {
  /** How long a partition that has been read to its end may bring nothing before it is idle. */
  readonly timeoutMs: number;
  /** `goes on`: by the clock, a step each timeout, for as long as nothing comes; results then depend on speed. */
  readonly watermark: 'stays' | 'goes on';
}

/** The rule of each input, whose partitions are numbered in turn, as `InputsRule` has it; `null` for one that holds nothing back, and is never idle. */
export interface IdleRule {
  readonly inputs: readonly (IdleInput | null)[];
  /**
   * Who waits, where that is not the query that reads the partitions: then each is found for itself, one that never brought a record as well. `next stage`: whoever keeps what it was told, and so is told once.
   * `later stages`: behind one that forgets it when it is started anew, and so is told each timeout, for as long as nothing comes. Absent: operators of the query.
   */
  readonly heardBy?: 'next stage' | 'later stages';
}

/** A partition that is idle from now on, or still is. */
export interface FoundIdle {
  readonly partition: number;
  /** By how much its watermark goes on, counted from its records: the time that it has been quiet, in whole milliseconds, or 0 where its input's stays. */
  readonly idleForMs: number;
}

/** How far a partition has been read. */
export interface PartitionProgress {
  readonly partition: number;
  readonly isAtEnd: boolean;
  /** Whether it has ever brought a record. */
  readonly isHeard: boolean;
}

interface Quiet {
  sinceMs: number;
  /** When it is to be looked at next. */
  lookMs: number;
  isIdle: boolean;
}

/** A partition that is quiet, and yet cannot be idle, is looked at again after so long: it has something to read that has not been read yet. */
const lookAgainMs = 1_000;

/**
 * Which partitions are idle (ADR 0045): by a monotonic clock, whose time is handed in, so that a test's clock decides. It decides for the run alone; what it says is recorded with
 * a commit before anything depends on it, and a replay asks the record.
 *
 * The batch loop tells it of each batch (`heard`, once for each partition in it), and asks when `isDue` says so, which is seldom.
 */
export class IdlePartitions {
  readonly #rule: IdleRule;
  readonly #partitions = new Map<number, Quiet>();
  #nextLookMs = Infinity;

  /** @param partitions all that the query reads; each has been quiet from now on. */
  constructor(rule: IdleRule, partitions: readonly number[], nowMs: number) {
    this.#rule = rule;
    for (const partition of partitions) this.heard(partition, nowMs);
  }

  /** How many partitions are idle. */
  get count(): number {
    return [...this.#partitions.values()].filter(({ isIdle }) => isIdle).length;
  }

  /** Whether a partition is idle. */
  has(partition: number): boolean {
    return this.#partitions.get(partition)?.isIdle === true;
  }

  /** Says that a partition has brought something. */
  heard(partition: number, nowMs: number): void {
    const input = this.#inputOf(partition);
    if (input === null) return;
    const lookMs = nowMs + input.timeoutMs;
    this.#partitions.set(partition, { sinceMs: nowMs, lookMs, isIdle: false });
    this.#nextLookMs = Math.min(this.#nextLookMs, lookMs);
  }

  /** Whether a partition is to be looked at. Costs a comparison; called for each batch. */
  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextLookMs;
  }

  /**
   * Finds the partitions that become idle now, and those that are and whose watermarks go on.
   *
   * Of an input that has brought records, partitions that never did hold nothing back, and are not spoken of. Those of an input that never brought any are spoken of together, once all of them are
   * idle: the input as a whole is what others wait for. Where an input has a partition that was never heard from and has something to read, none is idle yet: what it holds may be older than all that was read.
   *
   * @param progress of every partition.
   */
  find(progress: readonly PartitionProgress[], nowMs: number): readonly FoundIdle[] {
    const { inputs, heardBy } = this.#rule;
    const found: FoundIdle[] = [];
    for (const [index, input] of inputs.entries()) {
      const own = progress.filter(({ partition }) => partition % inputs.length === index);
      if (input === null || own.some(({ isAtEnd, isHeard }) => !isAtEnd && !isHeard)) continue;
      const looked = own.flatMap(({ partition, isAtEnd, isHeard }) => {
        const quiet = this.#partitions.get(partition);
        return isAtEnd && quiet !== undefined && nowMs >= quiet.lookMs ? [{ partition, isHeard, quiet }] : [];
      });
      for (const { isHeard, quiet } of looked) {
        quiet.isIdle = true;
        const isToldAgain = (isHeard && input.watermark === 'goes on') || heardBy === 'later stages';
        quiet.lookMs = isToldAgain ? nowMs + input.timeoutMs : Infinity;
      }
      const isSilent = own.every(({ isHeard }) => !isHeard);
      const isAwaited =
        heardBy === undefined &&
        isSilent &&
        inputs.length > 1 &&
        looked.length > 0 &&
        own.every((each) => this.has(each.partition));
      // There is no watermark that could go on.
      if (isAwaited) found.push(...own.map(({ partition }) => ({ partition, idleForMs: 0 })));
      for (const { partition, isHeard, quiet } of looked) {
        const goesOn = isHeard && input.watermark === 'goes on';
        // Of a single partition that stays where it is, nobody need hear, unless somebody else waits for it.
        if (heardBy !== undefined || (isHeard && (progress.length > 1 || goesOn)))
          found.push({ partition, idleForMs: goesOn ? Math.floor(nowMs - quiet.sinceMs) : 0 });
      }
    }
    this.#postpone(nowMs);
    return found;
  }

  #postpone(nowMs: number): void {
    for (const quiet of this.#partitions.values()) if (quiet.lookMs <= nowMs) quiet.lookMs = nowMs + lookAgainMs;
    this.#nextLookMs = Math.min(Infinity, ...[...this.#partitions.values()].map(({ lookMs }) => lookMs));
  }

  #inputOf(partition: number): IdleInput | null {
    return this.#rule.inputs[partition % this.#rule.inputs.length] ?? null;
  }
}
