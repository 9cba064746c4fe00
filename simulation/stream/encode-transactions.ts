import type { ByteSlab } from '../../engine/record/column.ts';
import { defects, type TransactionChunk } from './transaction-chunk.ts';

/** Messages of a chunk as they go to a topic, row by row. */
export interface EncodedTransactions {
  /** The card's id. Empty for a record whose card is missing. */
  readonly keys: ByteSlab;
  /** JSON text, but for malformed records. */
  readonly values: ByteSlab;
}

/** Whether messages tell if they are frauds: a demo compares with the truth, a rehearsal of production must not know it. */
export type Truth = 'include' | 'omit';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const idPart = bytes('{"transaction_id":"tx-');
const timePart = bytes(',"event_time":');
const cardPart = bytes(',"card_id":');
const terminalPart = bytes(',"terminal_id":"');
const amountPart = bytes('","amount":');
const cardNull = bytes('null');
const amountText = bytes('"twelve"');
const amountInfinite = bytes('1e999');
const truthPart = bytes(',"is_fraud":');
const trueText = bytes('true');
const falseText = bytes('false');
const scenarioPart = bytes(',"fraud_scenario":');
const [quote, zero, dot, closingBrace, noiseByte] = [0x22, 0x30, 0x2e, 0x7d, 0xff];
const idDigits = 12;
/** Everything in a message but its two ids. */
const longestRestBytes = 220;

/**
 * Encodes a chunk as JSON messages keyed by card:
 * `{"transaction_id":"tx-000000000042","event_time":1767225643120,"card_id":"card-00042","terminal_id":"terminal-00007","amount":57.16,"is_fraud":false,"fraud_scenario":0}`,
 * the last two only where `truth` says so. Bytes are written straight into one slab, about 0.2 µs a record; a defective record is spoilt in the
 * way that its `defect` says.
 */
export function encodeTransactions(chunk: TransactionChunk, truth: Truth): EncodedTransactions {
  const { rowCount, cardIds, terminalIds } = chunk;
  const longestBytes = longestRestBytes + longestId(cardIds) + longestId(terminalIds);
  const data = new Uint8Array(rowCount * longestBytes);
  const offsets = new Int32Array(rowCount + 1);
  const keyData = new Uint8Array(rowCount * longestId(cardIds));
  const keyOffsets = new Int32Array(rowCount + 1);
  const writer = new JsonWriter(data);
  let keyEnd = 0;
  for (let row = 0; row < rowCount; row++) {
    const start = writer.end;
    const card = chunk.card[row] ?? 0;
    const defect = chunk.defect[row] ?? defects.none;
    writeMessage(writer, chunk, row, truth);
    if (defect === defects.truncated) writer.end = start + ((writer.end - start) >> 1);
    if (defect === defects.noise) data.fill(noiseByte, start, writer.end);
    offsets[row + 1] = writer.end;
    if (defect !== defects.cardMissing) {
      const idStart = cardIds.offsets[card] ?? 0;
      const idEnd = cardIds.offsets[card + 1] ?? 0;
      for (let at = idStart; at < idEnd; at++) keyData[keyEnd++] = cardIds.data[at] ?? 0;
    }
    keyOffsets[row + 1] = keyEnd;
  }
  return {
    keys: { data: keyData.subarray(0, keyEnd), offsets: keyOffsets },
    values: { data: data.subarray(0, writer.end), offsets },
  };
}

function writeMessage(writer: JsonWriter, chunk: TransactionChunk, row: number, truth: Truth): void {
  const defect = chunk.defect[row] ?? defects.none;
  writer.bytes(idPart);
  writer.integer(chunk.sequence[row] ?? 0, idDigits);
  writer.byte(quote);
  if (defect !== defects.timeMissing) {
    writer.bytes(timePart);
    writer.integer(chunk.eventTimeMs[row] ?? 0, 1);
  }
  writer.bytes(cardPart);
  if (defect === defects.cardMissing) {
    writer.bytes(cardNull);
  } else {
    writer.byte(quote);
    writer.slabEntry(chunk.cardIds, chunk.card[row] ?? 0);
    writer.byte(quote);
  }
  writer.bytes(terminalPart);
  writer.slabEntry(chunk.terminalIds, chunk.terminal[row] ?? 0);
  if (defect === defects.amountMissing) {
    writer.byte(quote);
  } else {
    writer.bytes(amountPart);
    if (defect === defects.amountText) writer.bytes(amountText);
    else if (defect === defects.amountInfinite) writer.bytes(amountInfinite);
    else writer.cents(chunk.amount[row] ?? 0);
  }
  if (truth === 'include') {
    const scenario = chunk.fraudScenario[row] ?? 0;
    writer.bytes(truthPart);
    writer.bytes(scenario === 0 ? falseText : trueText);
    writer.bytes(scenarioPart);
    writer.integer(scenario, 1);
  }
  writer.byte(closingBrace);
}

function longestId(ids: ByteSlab): number {
  // All ids of a slab have one length (see `entityIds`).
  return ids.offsets[1] ?? 0;
}

/** Writes bytes one after the other; the target must be large enough. Loops, since `set` costs more than copying twenty bytes. */
class JsonWriter {
  end = 0;
  readonly #target: Uint8Array;

  constructor(target: Uint8Array) {
    this.#target = target;
  }

  byte(value: number): void {
    this.#target[this.end++] = value;
  }

  bytes(source: Uint8Array): void {
    const target = this.#target;
    let end = this.end;
    for (let i = 0; i < source.length; i++) target[end++] = source[i] ?? 0;
    this.end = end;
  }

  slabEntry(slab: ByteSlab, index: number): void {
    const target = this.#target;
    const stop = slab.offsets[index + 1] ?? 0;
    let end = this.end;
    for (let at = slab.offsets[index] ?? 0; at < stop; at++) target[end++] = slab.data[at] ?? 0;
    this.end = end;
  }

  /** A whole number below 2^53, with leading zeros to `fewestDigits`. In parts of six digits, since division of small integers is twice as fast. */
  integer(value: number, fewestDigits: number): void {
    if (value >= 1e6) {
      const high = Math.floor(value / 1e6);
      this.integer(high, fewestDigits - 6);
      this.#small(value - high * 1e6, 6);
      return;
    }
    let digits = 1;
    for (let limit = 10; value >= limit; limit *= 10) digits++;
    this.#small(value, Math.max(digits, fewestDigits));
  }

  #small(value: number, digits: number): void {
    const start = this.end;
    let rest = value | 0;
    for (let place = start + digits - 1; place >= start; place--) {
      const next = (rest / 10) | 0;
      this.#target[place] = zero + rest - next * 10;
      rest = next;
    }
    this.end = start + digits;
  }

  /** An amount with its two decimals. */
  cents(amount: number): void {
    const cents = Math.round(amount * 100);
    const whole = Math.floor(cents / 100);
    const rest = cents - whole * 100;
    this.integer(whole, 1);
    this.byte(dot);
    this.integer(rest, 2);
  }
}
