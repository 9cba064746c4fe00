import type { CommittedPosition } from '../../../engine/source/kafka/consumer-group.ts';
import type { InputRecord } from './input-log.ts';

/** What the broker answers a producer of a former epoch. */
export class Fenced extends Error {}
/** What it answers while it has not finished what would have to be answered about. */
export class NotNow extends Error {}
/** What it answers a request that makes no sense where the transaction stands. */
export class InvalidState extends Error {}

/** One transaction, with what it would make visible. */
export interface Transaction {
  readonly transactionalId: string;
  readonly epoch: number;
  status: 'open' | 'committed' | 'aborted';
  position: CommittedPosition | null;
  readonly entries: LogEntry[];
  /** What of a decided transaction has no marker yet: partitions that committed readers cannot pass, and the position. */
  readonly unmarked: Set<string>;
}

/** A message in an output partition; `null` for one that was sent outside any transaction. */
export interface LogEntry {
  readonly value: string;
  readonly transaction: Transaction | null;
}

interface ProducerState {
  epoch: number;
  current: Transaction | null;
}

/** What happened at the commit point, in order, for the checker. */
export type BrokerEvent =
  | { readonly kind: 'init'; readonly transactionalId: string; readonly epoch: number }
  | { readonly kind: 'commit'; readonly transaction: Transaction }
  | { readonly kind: 'position'; readonly offset: number };

/**
 * A broker with what matters of Kafka's transactions (KIP-98, KIP-447, KIP-890): producers fenced by epoch; messages of open transactions in the log,
 * where committed readers stop; a commit that is decided first and marked partition by partition later; positions that are part of
 * a transaction, and cannot be read while it is undecided or unmarked. A request that comes late concerns its own transaction only (KIP-890).
 */
export class BrokerModel {
  readonly input: readonly (InputRecord | null)[];
  /** Offsets below it are deleted; offsets from `available` on are not written yet. */
  logStart = 0;
  available: number;
  readonly partitions: Map<string, LogEntry[]> = new Map();
  readonly events: BrokerEvent[] = [];
  /** Raised with every change. */
  version = 0;
  readonly #producers = new Map<string, ProducerState>();
  #position: CommittedPosition | null = null;
  #waiting: Transaction[] = [];

  constructor(input: readonly (InputRecord | null)[], available: number) {
    this.input = input;
    this.available = available;
  }

  /** The position that is decided, whether or not it can be read yet. */
  get decidedPosition(): CommittedPosition | null {
    const decided = this.#waiting.findLast(({ unmarked }) => unmarked.has('position'));
    return decided?.position ?? this.#position;
  }

  partition(name: string): LogEntry[] {
    const found = this.partitions.get(name);
    if (found !== undefined) return found;
    const made: LogEntry[] = [];
    this.partitions.set(name, made);
    return made;
  }

  init(transactionalId: string): number {
    this.version++;
    const producer = this.#producers.get(transactionalId) ?? { epoch: -1, current: null };
    this.#producers.set(transactionalId, producer);
    if (producer.current?.status === 'open') producer.current.status = 'aborted';
    this.finishMarkers();
    producer.current = null;
    producer.epoch++;
    this.events.push({ kind: 'init', transactionalId, epoch: producer.epoch });
    return producer.epoch;
  }

  /** The producer's open transaction, a new one where there is none. */
  transactionOf(transactionalId: string, epoch: number): Transaction {
    const producer = this.#producerOf(transactionalId, epoch);
    if (producer.current?.status === 'open') return producer.current;
    this.finishMarkers();
    producer.current = {
      transactionalId,
      epoch,
      status: 'open',
      position: null,
      entries: [],
      unmarked: new Set(),
    };
    return producer.current;
  }

  append(transaction: Transaction | null, partition: string, value: string): void {
    this.version++;
    const entry = { value, transaction };
    this.partition(partition).push(entry);
    if (transaction === null) return;
    transaction.entries.push(entry);
    transaction.unmarked.add(partition);
  }

  setPosition(transaction: Transaction, position: CommittedPosition): void {
    transaction.position = position;
    transaction.unmarked.add('position');
  }

  /** A position committed outside any transaction: what the product never does, and a planted bug may. */
  commitPosition(position: CommittedPosition): void {
    this.version++;
    this.#position = position;
    this.events.push({ kind: 'position', offset: position.offset });
  }

  /** @param marking whether the markers are written at once, or when something asks for them */
  commit(transaction: Transaction, marking: 'at once' | 'later'): void {
    this.version++;
    if (transaction.status === 'committed') return;
    this.#producerOf(transaction.transactionalId, transaction.epoch);
    if (transaction.status === 'aborted') throw new InvalidState('it was aborted');
    transaction.status = 'committed';
    this.#waiting.push(transaction);
    this.events.push({ kind: 'commit', transaction });
    if (marking === 'at once') this.finishMarkers();
  }

  abort(transaction: Transaction): void {
    this.version++;
    if (transaction.status === 'aborted') return;
    this.#producerOf(transaction.transactionalId, transaction.epoch);
    if (transaction.status === 'committed') throw new InvalidState('it was committed');
    transaction.status = 'aborted';
  }

  /** The broker gives up transactions that have been open for too long, and fences whoever had them. */
  timeOut(): void {
    this.version++;
    for (const producer of this.#producers.values()) {
      if (producer.current?.status !== 'open') continue;
      producer.current.status = 'aborted';
      producer.epoch++;
    }
  }

  committed(): CommittedPosition | null {
    for (const { current } of this.#producers.values()) {
      if (current?.status === 'open' && current.position !== null)
        throw new NotNow('the position is part of an open transaction');
    }
    if (this.#waiting.some(({ unmarked }) => unmarked.has('position'))) {
      this.mark('position');
      throw new NotNow('the position is being committed');
    }
    return this.#position;
  }

  /** Writes what markers there are to write in one partition. */
  mark(partition: string): void {
    this.version++;
    for (const transaction of this.#waiting) {
      if (!transaction.unmarked.delete(partition)) continue;
      if (partition === 'position' && transaction.position !== null) this.#position = transaction.position;
    }
    this.#waiting = this.#waiting.filter(({ unmarked }) => unmarked.size > 0);
  }

  /** Writes every marker that is still to be written. */
  finishMarkers(): void {
    for (const partition of ['position', ...this.partitions.keys()]) this.mark(partition);
  }

  #producerOf(transactionalId: string, epoch: number): ProducerState {
    const producer = this.#producers.get(transactionalId);
    if (producer === undefined || producer.epoch !== epoch) throw new Fenced('there is a newer producer');
    return producer;
  }
}
