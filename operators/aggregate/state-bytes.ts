const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();

/** What aggregates take in and give back beside null: a number (booleans as 0 and 1, instants in milliseconds) or a text. */
export type AggregateValue = number | string;

/** Writes state as little-endian bytes, growing as it goes. One is used for many values: {@link take} gives a copy and begins again. */
export class StateWriter {
  #bytes: Uint8Array = new Uint8Array(256);
  #view: DataView = new DataView(this.#bytes.buffer);
  #used = 0;

  /** One byte, 0 to 255. */
  u8(value: number): void {
    this.#reserve(1);
    this.#view.setUint8(this.#used, value);
    this.#used += 1;
  }

  /** A whole number from 0 to 2^32 − 1. */
  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#used, value, true);
    this.#used += 4;
  }

  /** A whole number from −2^31 to 2^31 − 1. */
  i32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.#used, value, true);
    this.#used += 4;
  }

  /** A double, bit for bit. */
  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#used, value, true);
    this.#used += 8;
  }

  /** Bytes whose number the reader knows. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** A number or a text, with what it is. */
  value(value: AggregateValue): void {
    if (typeof value === 'number') {
      this.u8(0);
      this.f64(value);
      return;
    }
    const text = textEncoder.encode(value);
    this.u8(1);
    this.u32(text.length);
    this.raw(text);
  }

  /** A copy of what was written since the last call. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#used);
    this.#used = 0;
    return bytes;
  }

  #reserve(more: number): void {
    if (this.#used + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#used + more));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads what a {@link StateWriter} wrote. Every method throws a `RangeError` where the bytes are cut off; whoever reads a stored value makes a `STATE_FORMAT` of it. */
export class StateBytes {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Whether everything was read. */
  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** As written by {@link StateWriter.u8}. */
  u8(): number {
    return this.#view.getUint8(this.#move(1));
  }

  /** As written by {@link StateWriter.u32}. */
  u32(): number {
    return this.#view.getUint32(this.#move(4), true);
  }

  /** As written by {@link StateWriter.i32}. */
  i32(): number {
    return this.#view.getInt32(this.#move(4), true);
  }

  /** As written by {@link StateWriter.f64}. */
  f64(): number {
    return this.#view.getFloat64(this.#move(8), true);
  }

  /** A copy of the next bytes. */
  raw(size: number): Uint8Array {
    const at = this.#move(size);
    return new Uint8Array(this.#bytes.subarray(at, at + size));
  }

  /** As written by {@link StateWriter.value}. */
  value(): AggregateValue {
    if (this.u8() === 0) return this.f64();
    return textDecoder.decode(this.raw(this.u32()));
  }

  #move(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) throw new RangeError('cut off');
    this.#at = at + size;
    return at;
  }
}
