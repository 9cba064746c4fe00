import type { Clock } from '../../../engine/time/clock.ts';
import { wordsOf, type CallKind, type Fate } from './fate.ts';
import type { Plan } from './plan.ts';

/** One life of a worker: from its start to its end, or to the crash after which none of its promises ever settles. */
export interface Process {
  readonly id: number;
  state: 'live' | 'paused' | 'ended';
  /** The step at which a paused process goes on. */
  wakeStep: number;
  readonly stop: AbortController;
  readonly lost: AbortController;
}

/** A call that was made and has not been carried out yet. */
interface PendingCall {
  readonly process: Process;
  readonly kind: CallKind;
  readonly dueMs: number;
  apply(): unknown;
  failure(fate: Fate): Error;
  late(): void;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A request that outlives whoever sent it, or a broker's own work that is not done yet. */
interface InAir {
  readonly what: string;
  apply(): void;
}

/** How a call reaches its service. `late` is what a request does that arrives after its sender has given it up; nothing where absent. */
export interface CallSpec<T> {
  readonly kind: CallKind;
  apply(): T;
  failure(fate: Fate): Error;
  late?(): void;
}

/**
 * The world in which processes run: time, the order of everything, and what goes wrong. Every call of a process waits here until the plan
 * lets it happen, one at a time, so that a run is a function of its plan and nothing else: the product's code in between is promises
 * only, and is run to its next call before the next one is chosen.
 */
export class World {
  readonly plan: Plan;
  readonly events: string[] | null;
  nowMs = 1_000_000;
  step = 0;
  #calls = 0;
  readonly #pending: PendingCall[] = [];
  readonly #inAir: InAir[] = [];

  /** @param events where everything that happens is written down, or `null`: the list is made only for a run that is looked at. */
  constructor(plan: Plan, events: string[] | null) {
    this.plan = plan;
    this.events = events;
  }

  note(text: string): void {
    this.events?.push(`${String(this.step).padStart(4)} ${text}`);
  }

  /** Makes a call, to be carried out when its turn comes. */
  call<T>(process: Process, spec: CallSpec<T>, delayMs = 0): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({
        process,
        kind: spec.kind,
        dueMs: this.nowMs + delayMs,
        apply: () => spec.apply(),
        failure: (fate) => spec.failure(fate),
        late: () => spec.late?.(),
        resolve: (value) => resolve(value as T),
        reject,
      });
    });
  }

  /** Something that will happen some time, whoever is alive then. */
  later(what: string, apply: () => void): void {
    this.#inAir.push({ what, apply });
  }

  /** A process's clock: virtual, and never going on while the process is paused. */
  clock(process: Process): Clock {
    return {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      sleep: (durationMs, signal) =>
        signal?.aborted === true
          ? Promise.resolve()
          : this.call(
              process,
              { kind: 'sleep', apply: () => undefined, failure: () => new Error('a sleep does not fail') },
              durationMs,
            ),
    };
  }

  /** The end of a process, with all that it waits for. */
  kill(process: Process): void {
    process.state = 'ended';
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      if (this.#pending[i]?.process === process) this.#pending.splice(i, 1);
    }
  }

  pause(process: Process): void {
    process.state = 'paused';
    process.wakeStep = this.step + 5 + this.plan.random.below(60);
  }

  /** Whether nothing more will happen by itself. */
  get isQuiet(): boolean {
    return this.#pending.length === 0 && this.#inAir.length === 0;
  }

  /** Carries out one thing: a call whose time has come, or something that was in the air. Moves time on where nothing is due. */
  advance(): void {
    this.step++;
    const due = this.#pending.filter(({ process, dueMs }) => process.state === 'live' && dueMs <= this.nowMs);
    if (this.#inAir.length > 0 && (due.length === 0 || this.plan.random.oneIn(6))) {
      const [landing] = this.#inAir.splice(this.plan.choose(this.#inAir.length), 1);
      this.note(`late: ${landing?.what ?? ''}`);
      landing?.apply();
      return;
    }
    if (due.length === 0) {
      const next = this.#pending.filter(({ process }) => process.state === 'live').map(({ dueMs }) => dueMs);
      if (next.length > 0) this.nowMs = Math.min(...next);
      return;
    }
    const call = due[this.plan.choose(due.length)];
    if (call === undefined) return;
    this.#pending.splice(this.#pending.indexOf(call), 1);
    this.nowMs += this.plan.random.below(4);
    this.#carryOut(call, this.plan.fateOf(call.kind, this.#calls++));
  }

  #carryOut(call: PendingCall, fate: Fate): void {
    const { process, kind } = call;
    if (kind !== 'sleep' || fate.outcome !== 'answer') {
      this.note(`process ${process.id}: ${kind} [${this.#calls - 1}]${isPlain(fate) ? '' : `   <-- ${wordsOf(fate)}`}`);
    }
    let answer: (() => void) | null = null;
    for (let times = fate.effect === 'twice' ? 2 : fate.effect === 'once' ? 1 : 0; times > 0; times--) {
      answer = settle(call);
    }
    if (fate.effect === 'late') this.later(`${kind} of process ${process.id}`, () => call.late());
    switch (fate.outcome) {
      case 'answer':
        answer?.();
        return;
      case 'fail':
        call.reject(call.failure(fate));
        return;
      case 'crash':
        this.kill(process);
        return;
      case 'pause':
        this.pause(process);
        // Done already: the answer lies in the socket until the process goes on. Not done yet: the request does.
        if (answer === null) this.#pending.push(call);
        else this.#pending.push({ ...call, kind: 'sleep', apply: () => undefined, resolve: answer });
    }
  }
}

function isPlain({ effect, outcome }: Fate): boolean {
  return effect === 'once' && outcome === 'answer';
}

function settle(call: PendingCall): () => void {
  try {
    const value = call.apply();
    return () => call.resolve(value);
  } catch (error) {
    return () => call.reject(error);
  }
}
