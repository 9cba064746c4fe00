import { SluiceError } from '../error.ts';
import type { CommitLog } from '../execution/commit-log.ts';
import type { QueryDefinition } from '../execution/query-definition.ts';
import type { Source } from '../source/source.ts';
import type { StateReader } from '../state/state-store.ts';
import type { CommitStep, MemoryBroker } from './memory-broker.ts';

/** What a query does to the world outside it, or waits for: wherever a process can die and leave something half done. */
export type CrashStep = 'acquire' | 'read ends' | 'seek' | 'poll' | 'read state' | 'score' | CommitStep;

/** A moment of a run: before or after the `nth` (from 0) time that the query takes a step. */
export interface CrashPoint {
  readonly step: CrashStep;
  readonly nth: number;
  readonly when: 'before' | 'after';
}

/** A crash point in words: `after commit 3`, counted from 1. */
export function wordsOf({ step, nth, when }: CrashPoint): string {
  return `${when} ${step} ${nth + 1}`;
}

/**
 * One life of the process that a query runs in. Every step passes here before and after it is taken, where the process may be struck dead; whatever a dead one tries
 * fails, so that nothing of it reaches the broker, which lives on.
 */
export class TestProcess {
  readonly #passed: CrashPoint[] = [];
  readonly #counts = new Map<string, number>();
  #strike: CrashPoint | null;
  #isDead = false;

  /** @param strike where it is to die; `null` for nowhere. */
  constructor(strike: CrashPoint | null = null) {
    this.#strike = strike;
  }

  /** Every point that it passed alive, in order. */
  get passed(): readonly CrashPoint[] {
    return this.#passed;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Dies now, between two steps. */
  kill(): void {
    this.#isDead = true;
  }

  /** Dies the next time that it comes to such a point, counted from now. */
  strikeNext(step: CrashStep, when: CrashPoint['when']): void {
    this.#strike = { step, when, nth: this.#counts.get(`${when} ${step}`) ?? 0 };
  }

  /** @throws {SluiceError} `MEMORY_CRASH` when the process is dead, or dies here. */
  reach(step: CrashStep, when: CrashPoint['when']): void {
    const counted = `${when} ${step}`;
    const nth = this.#counts.get(counted) ?? 0;
    const strike = this.#strike;
    if (strike !== null && strike.step === step && strike.when === when && strike.nth === nth) this.#isDead = true;
    if (this.#isDead) throw new SluiceError('MEMORY_CRASH', `the process died ${wordsOf({ step, nth, when })}`);
    this.#counts.set(counted, nth + 1);
    this.#passed.push({ step, nth, when });
  }

  /** Takes a step: alive before it and after it, or not at all, or without having seen that it was taken. */
  async take<T>(step: CrashStep, call: () => Promise<T>): Promise<T> {
    this.reach(step, 'before');
    const result = await call();
    this.reach(step, 'after');
    return result;
  }

  /** A source that this process reads. */
  source(source: Source): Source {
    return {
      name: source.name,
      ranges: () => this.take('read ends', () => source.ranges()),
      seek: (offsets) => this.take('seek', () => source.seek(offsets)),
      poll: async (bounds) => {
        if (this.#isDead) this.reach('poll', 'before');
        const polled = await source.poll(bounds);
        // Only polls that bring something are steps: how often an empty topic is asked depends on nothing that a run could be repeated by.
        if (polled !== null || this.#isDead) {
          this.reach('poll', 'before');
          this.reach('poll', 'after');
        }
        return polled;
      },
      [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    };
  }

  /** This process's hold on the broker's one task. */
  commitLog(broker: MemoryBroker): CommitLog {
    const log = broker.commitLog((step, when) => this.reach(step, when));
    const state: StateReader = {
      getMany: (operatorId, keys) => this.take('read state', () => log.state.getMany(operatorId, keys)),
      scan: (operatorId) => {
        this.reach('read state', 'before');
        return log.state.scan(operatorId);
      },
    };
    return {
      state,
      acquire: () => this.take('acquire', () => log.acquire()),
      commit: (batch) => log.commit(batch),
      [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
    };
  }

  /** The query as this process runs it: scoring is a step, too. */
  query(query: QueryDefinition): QueryDefinition {
    return { ...query, score: (records) => this.take('score', () => query.score(records)) };
  }
}
