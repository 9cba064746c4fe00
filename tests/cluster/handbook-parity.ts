import { strict as assert } from 'node:assert';
import { systemClock } from '../../engine/time/clock.ts';
import type { Comparison } from '../../jobs/runtime/expected-values.ts';
import { handbookStartMs, type HandbookTransactions } from '../../simulation/handbook/transactions.ts';
import type { RawMessage } from '../faults/real/raw-kafka.ts';
import { RandomSource } from '../faults/simulation/random-source.ts';
import { CommandWorker } from './command-worker.ts';
import { answerOf, type ExpectedAnswers } from './expected-answers.ts';
import { HandbookServices } from './handbook-services.ts';

const dayMs = 86_400_000;
/**
 * Days of event time on their way at once. A label counts 7 days after its transaction, so whatever the order in which the exchange has
 * what is on its way, all that a terminal's windows reach has come before.
 */
const daysAhead = 3;

/** The stream, what is expected of it, and who disturbs it. */
export interface ParityRun {
  readonly transactions: HandbookTransactions;
  readonly expected: ExpectedAnswers;
  readonly partitions: number;
  readonly workers: number;
  /** The mean pause between two kills. */
  readonly killEveryMs: number;
  /** Of the pauses and of who is killed. */
  readonly seed: number;
  /** Told about progress, in words. */
  readonly say: (line: string) => void;
}

/** What a run came to. */
export interface ParityFigures extends Comparison {
  /** Answers to a transaction that had one already. */
  readonly repeated: number;
  readonly kills: number;
  /** From the first record sent until the last one is answered. */
  readonly seconds: number;
}

/**
 * The shipped job of the Handbook's features over Kafka and Redis of its own: its transactions as a live stream, worker processes of which one is killed every few
 * seconds and started again at once, as whatever looks after processes would. When all is answered and the workers have ended in good order, a plain
 * consumer of committed messages reads the answers from their start, and each is compared.
 */
export async function runHandbookParity(run: ParityRun): Promise<ParityFigures> {
  await using services = await HandbookServices.start(run.partitions);
  const arrival = new Arrival(run.transactions);
  const workers = Array.from({ length: run.workers }, (_, index) => new CommandWorker(index + 1, services));
  try {
    const done = new AbortController();
    const startedMs = systemClock.monotonicMs();
    const killing = killByTurns(run, workers, done.signal);
    try {
      await feedAndFollow(run, services, arrival, workers);
    } finally {
      done.abort();
    }
    const kills = await killing;
    const seconds = Math.round((systemClock.monotonicMs() - startedMs) / 100) / 10;
    run.say(`all is answered after ${seconds} s and ${kills} kills`);
    await Promise.all(workers.map((worker) => worker.stop()));
    const repeated = await compareAll(run, services);
    return { ...run.expected.result, repeated, kills, seconds };
  } finally {
    for (const worker of workers) worker.kill();
  }
}

/** Which transactions are answered, and so how far the stream may be fed. */
class Arrival {
  readonly #transactions: HandbookTransactions;
  readonly #dayOfId = new Map<number, number>();
  /** Of each day, from the first. */
  readonly #unanswered: number[] = [];
  /** The first day that is not answered in full. */
  #day = 0;
  #fed = 0;
  answered = 0;

  constructor(transactions: HandbookTransactions) {
    this.#transactions = transactions;
    transactions.transactionId.forEach((id, row) => {
      const day = this.#dayOf(row);
      this.#dayOfId.set(id, day);
      while (this.#unanswered.length <= day) this.#unanswered.push(0);
      this.#unanswered[day] = (this.#unanswered[day] ?? 0) + 1;
    });
  }

  get isAnswered(): boolean {
    return this.#dayOfId.size === 0;
  }

  /** The first day that is not answered in full. */
  get day(): number {
    return this.#day;
  }

  answer(id: number): void {
    const day = this.#dayOfId.get(id);
    // One that is answered again is counted when the answers are compared.
    if (day === undefined || !this.#dayOfId.delete(id)) return;
    this.answered++;
    this.#unanswered[day] = (this.#unanswered[day] ?? 0) - 1;
    while (this.#unanswered[this.#day] === 0) this.#day++;
  }

  /** The rows that may be sent now, `[from, to)`; they count as sent. */
  next(): { readonly from: number; readonly to: number } {
    const from = this.#fed;
    while (this.#fed < this.#transactions.rowCount && this.#dayOf(this.#fed) < this.#day + daysAhead) this.#fed++;
    return { from, to: this.#fed };
  }

  #dayOf(row: number): number {
    return Math.floor(((this.#transactions.eventTimeMs[row] ?? 0) - handbookStartMs) / dayMs);
  }
}

async function feedAndFollow(
  { transactions, say }: ParityRun,
  services: HandbookServices,
  arrival: Arrival,
  workers: readonly CommandWorker[],
): Promise<void> {
  const reader = await services.readAnswers();
  let said = 0;
  try {
    while (!arrival.isAnswered) {
      const { from, to } = arrival.next();
      if (from < to) await services.send(transactions, from, to);
      for (const { value } of await reader.next(100)) arrival.answer(answerOf(value).TRANSACTION_ID);
      for (const worker of workers) worker.throwIfFailed();
      if (arrival.day > said) {
        said = arrival.day;
        say(`${said} days and ${arrival.answered} records are answered`);
      }
    }
  } finally {
    await reader.close();
  }
}

/** Gives how many were killed. */
async function killByTurns(
  { killEveryMs, seed }: ParityRun,
  workers: readonly CommandWorker[],
  done: AbortSignal,
): Promise<number> {
  const random = new RandomSource(seed);
  for (let kills = 0; ; kills++) {
    await systemClock.sleep(killEveryMs / 2 + random.below(killEveryMs), done);
    if (done.aborted) return kills;
    const victim = workers[random.below(workers.length)];
    assert(victim !== undefined, 'there are workers');
    victim.kill();
    victim.start();
  }
}

/** Holds all that committed readers see against what is expected; gives how many answers came to a transaction that had one. */
async function compareAll({ expected, partitions }: ParityRun, services: HandbookServices): Promise<number> {
  const reader = await services.readAnswers();
  const ended = new Set<number>();
  reader.onEnd((_, partition) => ended.add(partition));
  const seen = new Set<number>();
  let read = 0;
  const take = (messages: readonly RawMessage[]): void => {
    const batch = messages.map(({ value }) => answerOf(value));
    for (const { TRANSACTION_ID } of batch) seen.add(TRANSACTION_ID);
    read += batch.length;
    expected.compare(batch);
  };
  while (ended.size < partitions) take(await reader.next(100));
  for (let more = await reader.next(200); more.length > 0; more = await reader.next(200)) take(more);
  await reader.close();
  return read - seen.size;
}
