import type { KeptRecord } from './kept-record.ts';

/** Room that is given back once so many records have gone from the front. */
const smallestCompaction = 64;

/** Records in order of event time, those of the same in the order in which they came. Mostly added at the end, and taken from the front. */
export class OrderedRecords {
  #records: KeptRecord[] = [];
  #head = 0;

  /** How many there are. */
  get size(): number {
    return this.#records.length - this.#head;
  }

  /** The record at a place, from 0. */
  at(index: number): KeptRecord | undefined {
    return this.#records[this.#head + index];
  }

  /** Puts a record in its place. */
  insert(record: KeptRecord): void {
    const index = this.#head + this.indexOf(record);
    if (index === this.#records.length) this.#records.push(record);
    else this.#records.splice(index, 0, record);
  }

  /** The place of a record that is among them, or would be. */
  indexOf({ eventTimeMs, order }: KeptRecord): number {
    let low = this.#head;
    let high = this.#records.length;
    const last = this.#records[high - 1];
    // Most records come in order.
    if (last === undefined || isBefore(last, eventTimeMs, order)) return high - this.#head;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const record = this.#records[middle];
      if (record !== undefined && isBefore(record, eventTimeMs, order)) low = middle + 1;
      else high = middle;
    }
    return low - this.#head;
  }

  /** The first place whose event time is greater than `boundMs`; `size` if there is none. */
  firstAfter(boundMs: number): number {
    return this.#search((record) => record.eventTimeMs > boundMs);
  }

  /** The first place whose event time is not less than `boundMs`; `size` if there is none. */
  firstFrom(boundMs: number): number {
    return this.#search((record) => record.eventTimeMs >= boundMs);
  }

  /** Takes a record out that is among them. */
  remove(record: KeptRecord): void {
    const index = this.indexOf(record);
    if (this.at(index) !== record) return;
    if (index > 0) {
      this.#records.splice(this.#head + index, 1);
      return;
    }
    this.#head++;
    if (this.#head < smallestCompaction || this.#head * 2 < this.#records.length) return;
    this.#records = this.#records.slice(this.#head);
    this.#head = 0;
  }

  #search(holds: (record: KeptRecord) => boolean): number {
    let low = this.#head;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const record = this.#records[middle];
      if (record !== undefined && holds(record)) high = middle;
      else low = middle + 1;
    }
    return low - this.#head;
  }
}

function isBefore(record: KeptRecord, eventTimeMs: number, order: number): boolean {
  return record.eventTimeMs < eventTimeMs || (record.eventTimeMs === eventTimeMs && record.order < order);
}
