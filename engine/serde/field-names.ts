/**
 * The names of a schema's fields as bytes, and the way from a name's bytes to its field without making a string: a small open-addressing
 * table, made once. Called by decoders for each key that they could not guess.
 */
export class FieldNames {
  /**
   * Each name as it stands in JSON, escaped where it must be and with its closing quote, four bytes a word (little-endian), in
   * `words[wordStarts[n], wordStarts[n + 1])`.
   */
  readonly words: Int32Array;
  readonly wordStarts: Int32Array;
  /** Which bits of each name's last word count. */
  readonly masks: Int32Array;
  /** Each name's bytes in JSON, its closing quote among them. */
  readonly lengths: Int32Array;
  readonly #names: readonly Uint8Array[];
  readonly #table: Int32Array;

  constructor(names: readonly string[]) {
    const encoder = new TextEncoder();
    const quoted = names.map((name) => encoder.encode(JSON.stringify(name).slice(1)));
    this.lengths = Int32Array.from(quoted, (name) => name.length);
    this.masks = this.lengths.map((length) => (length % 4 === 0 ? -1 : (1 << ((length % 4) * 8)) - 1));
    this.wordStarts = new Int32Array(names.length + 1);
    quoted.forEach((name, index) => {
      this.wordStarts[index + 1] = (this.wordStarts[index] ?? 0) + Math.ceil(name.length / 4);
    });
    this.words = new Int32Array(this.wordStarts[names.length] ?? 0);
    quoted.forEach((name, index) => {
      const start = this.wordStarts[index] ?? 0;
      name.forEach((byte, at) => {
        const word = start + (at >> 2);
        this.words[word] = (this.words[word] ?? 0) | (byte << ((at & 3) * 8));
      });
    });
    this.#names = names.map((name) => encoder.encode(name));
    let size = 4;
    while (size < names.length * 2) size *= 2;
    this.#table = new Int32Array(size).fill(-1);
    this.#names.forEach((name, field) => {
      let slot = hash(name, 0, name.length) & (size - 1);
      while (this.#table[slot] !== -1) slot = (slot + 1) & (size - 1);
      this.#table[slot] = field;
    });
  }

  /** The field whose name is `data[start, end)`, not escaped, or -1. */
  find(data: Uint8Array, start: number, end: number): number {
    const mask = this.#table.length - 1;
    let slot = hash(data, start, end) & mask;
    for (;;) {
      const field = this.#table[slot] ?? -1;
      const name = this.#names[field];
      if (name === undefined || isName(name, data, start, end)) return field;
      slot = (slot + 1) & mask;
    }
  }
}

function isName(name: Uint8Array, data: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) {
    if (data[start + i] !== name[i]) return false;
  }
  return true;
}

/** FNV-1a, of 32 bits. */
function hash(data: Uint8Array, start: number, end: number): number {
  let value = 0x811c9dc5;
  for (let at = start; at < end; at++) value = Math.imul(value ^ (data[at] ?? 0), 0x01000193);
  return value ^ (value >>> 15);
}
