import type { BrokerModel, LogEntry, Transaction } from './broker-model.ts';
import { stateProblem } from './state-check.ts';
import type { Truth } from './oracle.ts';
import type { RedisModel } from './redis-model.ts';

/** A broken invariant, by its number in `exactly-once.md`. */
export interface Violation {
  readonly invariant: string;
  readonly what: string;
}

/** Thrown by the checker; the run ends there. */
export class InvariantBroken extends Error {
  readonly violation: Violation;

  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.violation = { invariant, what };
  }
}

function broken(invariant: string, what: string): never {
  throw new InvariantBroken(invariant, what);
}

/** What a task says of its partition while nothing comes; `life` tells its owners apart. */
interface IdleMessage {
  readonly idleAt: number;
  readonly watermarkMs: number | null;
  readonly owner: string;
}

/** Where it is said. */
const idlePartition = 'idle-0';

/**
 * Looks at the broker's log and the store's contents after every step of a run, without any of the product's readers, and knows from the input
 * log alone what they must hold (I1 to I6, I10, I11, I12 of `exactly-once.md`).
 */
export class Checker {
  readonly #truth: Truth;
  readonly #broker: BrokerModel;
  readonly #redis: RedisModel;
  readonly #expected: ReadonlyMap<string, readonly string[]>;
  readonly #seen = new Map<string, number>();
  readonly #lengths = new Map<string, number>();
  /** The producer that was opened last: the only one whose commits may count. */
  #owner = '';
  #version = -1;
  #events = 0;
  #position = 0;
  #sequence = -1;
  #stateVersion = -1;
  /** The last that was committed of what each owner said of the partition while it was idle. */
  readonly #idle = new Map<string, IdleMessage>();

  constructor(truth: Truth, broker: BrokerModel, redis: RedisModel) {
    this.#truth = truth;
    this.#broker = broker;
    this.#redis = redis;
    this.#expected = byPartition(truth, 0, truth.answers.length);
  }

  /** @throws {InvariantBroken} at the first that is. */
  check(): void {
    // Most steps change nothing that anybody could read.
    const version = this.#broker.version + this.#redis.version;
    if (version === this.#version) return;
    this.#version = version;
    this.#checkCommits();
    this.#checkSends();
    this.#checkReaders();
    this.#checkState();
  }

  /** Whether it is committed that the partition was idle before an offset. */
  isIdleSaid(offset: number): boolean {
    return [...this.#idle.values()].some(({ idleAt }) => idleAt === offset);
  }

  /** What must be true once all is done: nothing is missing. */
  checkEnd(): void {
    this.check();
    for (const [partition, expected] of this.#expected) {
      const seen = this.#seen.get(partition) ?? 0;
      if (seen !== expected.length) broken('I1', `${partition} has ${seen} of ${expected.length} outputs at the end`);
    }
  }

  /** I3 and I6: transactions cover the log without gap or overlap, carry exactly what they cover, and are the newest owner's. */
  #checkCommits(): void {
    const { events } = this.#broker;
    for (; this.#events < events.length; this.#events++) {
      const event = events[this.#events];
      if (event === undefined) return;
      if (event.kind === 'init') {
        this.#owner = `${event.transactionalId}, epoch ${event.epoch}`;
      } else if (event.kind === 'position') {
        if (event.offset < this.#position)
          broken('I3', `the position went back from ${this.#position} to ${event.offset}`);
        this.#position = event.offset;
      } else {
        this.#checkCommit(event.transaction);
      }
    }
  }

  #checkCommit(transaction: Transaction): void {
    const { transactionalId, epoch, position, entries } = transaction;
    const producer = `${transactionalId}, epoch ${epoch}`;
    if (producer !== this.#owner) broken('I6', `producer ${producer} committed after ${this.#owner} was opened`);
    if (position === null) broken('I3', 'a transaction without a position was committed');
    const { seq } = JSON.parse(position.metadata) as { readonly seq: number };
    if (seq !== this.#sequence + 1) broken('I3', `batch ${seq} was committed after batch ${this.#sequence}`);
    this.#sequence = seq;
    const from = this.#position;
    if (position.offset === from) {
      this.#checkIdle(from, entries);
      return;
    }
    if (position.offset < from) broken('I3', `a transaction moves the position from ${from} to ${position.offset}`);
    this.#position = position.offset;
    const wanted = byPartition(this.#truth, from, position.offset);
    const got = new Map<string, string[]>();
    for (const [name, log] of this.#broker.partitions) {
      const own = log.filter((entry) => entry.transaction === transaction).map(({ value }) => value);
      if (own.length > 0) got.set(name, own);
    }
    const carried = [...got.values()].reduce((count, values) => count + values.length, 0);
    if (carried !== entries.length) broken('I3', 'a transaction carries what is not in the log');
    for (const name of new Set([...wanted.keys(), ...got.keys()])) {
      const [want = [], have = []] = [wanted.get(name), got.get(name)];
      const invariant = name.startsWith('dead') ? 'I12' : 'I1';
      compare(invariant, `the transaction [${from}, ${position.offset}) in ${name}`, want, have);
    }
  }

  /** A transaction that moves no position says that the partition is idle there, once for each decision of an owner, and nothing else. */
  #checkIdle(at: number, entries: readonly LogEntry[]): void {
    const own = this.#broker.partition(idlePartition).filter((entry) => entries.includes(entry));
    const [said] = own.map(({ value }) => JSON.parse(value) as IdleMessage);
    if (said === undefined || entries.length !== 1)
      broken('I3', `a transaction at ${at} moves nothing and says nothing`);
    if (said.idleAt !== at) broken('I3', `a transaction at ${at} says that the partition is idle at ${said.idleAt}`);
    const before = this.#idle.get(said.owner);
    const [nowMs, beforeMs] = [said.watermarkMs ?? -Infinity, before?.watermarkMs ?? -Infinity];
    // Before the first record of all there is no watermark that could go on.
    if (this.#truth.watermarkAt(at) > -Infinity && nowMs <= this.#truth.watermarkAt(at)) {
      broken('I1', `what is said at ${at} must be beyond the watermark ${this.#truth.watermarkAt(at)}; got ${nowMs}`);
    }
    if (before?.idleAt === at && nowMs <= beforeMs)
      broken('I1', `${said.owner} says twice at ${at} that it is at ${nowMs}`);
    this.#idle.set(said.owner, said);
  }

  /** I10: whatever is sent is of records that are not committed yet. */
  #checkSends(): void {
    for (const [name, log] of this.#broker.partitions) {
      for (let i = this.#lengths.get(name) ?? 0; i < log.length; i++) this.#checkSent(name, log[i]);
      this.#lengths.set(name, log.length);
    }
  }

  #checkSent(name: string, entry: LogEntry | undefined): void {
    if (entry === undefined || entry.transaction?.status === 'committed') return;
    const [, idleAt = Infinity] = /"idleAt":(\d+)/.exec(entry.value) ?? [];
    if (Number(idleAt) < this.#position) broken('I10', `${name} was told of ${idleAt}, behind ${this.#position}`);
    const [, offset] = /"offset":(\d+)/.exec(entry.value) ?? /^JSON_MALFORMED (\d+) /.exec(entry.value) ?? [];
    if (Number(offset) < this.#position) {
      broken('I10', `${name} was sent the answer of offset ${offset}, which is committed up to ${this.#position}`);
    }
  }

  /** I1, I2, I11 and I12: what committed readers see is at every moment the beginning of what they must see, byte for byte. */
  #checkReaders(): void {
    for (const [name, log] of this.#broker.partitions) {
      const visible: string[] = [];
      for (const { transaction, value } of log) {
        if (transaction?.status === 'open') break;
        if (transaction?.status === 'committed' && transaction.unmarked.has(name)) break;
        if (transaction?.status !== 'aborted') visible.push(value);
      }
      const before = this.#seen.get(name) ?? 0;
      if (visible.length === before) continue;
      // What a clock says is no function of the input: it was looked at as it was committed.
      const expected = this.#expected.get(name) ?? (name === idlePartition ? visible : []);
      const invariant = name.startsWith('dead') ? 'I12' : 'I1';
      compare(invariant, `a committed reader of ${name}`, expected.slice(0, visible.length), visible);
      this.#seen.set(name, visible.length);
    }
  }

  /** I4, I5 and I6 for the store: at S it holds what the log up to S gives, S is committed, and only the last claimant wrote. */
  #checkState(): void {
    const { history, version, offset } = this.#redis;
    if (offset !== null && offset > this.#position) {
      broken('I5', `the state is at ${offset}, and the committed position at ${this.#position}`);
    }
    if (version === this.#stateVersion) return;
    this.#stateVersion = version;
    const last = history.at(-1);
    if (last?.kind === 'write') {
      const claimant = history.findLast(({ kind }) => kind === 'claim')?.owner;
      if (claimant !== last.owner) broken('I6', 'a former owner wrote the state');
    }
    if (offset === null) return;
    const problem = stateProblem(this.#redis.state, this.#truth.stateAt(offset));
    if (problem !== null) broken('I4', `the state at ${offset}: ${problem}`);
  }
}

function byPartition({ answers }: Truth, from: number, to: number): Map<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const answer of answers.slice(from, to)) {
    if (answer === null) continue;
    const list = lists.get(answer.partition);
    if (list === undefined) lists.set(answer.partition, [answer.value]);
    else list.push(answer.value);
  }
  return lists;
}

function compare(invariant: string, where: string, want: readonly string[], have: readonly string[]): void {
  for (let i = 0; i < Math.max(want.length, have.length); i++) {
    if (want[i] === have[i]) continue;
    broken(invariant, `${where}: message ${i} must be ${want[i] ?? 'absent'}; got ${have[i] ?? 'none'}`);
  }
}
