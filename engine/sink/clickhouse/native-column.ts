import {
  lengthPrefixed,
  WRITE_INTEGER,
  WRITE_MAP,
  WRITE_STRING,
  WRITE_STRINGS,
  type NativeStep,
  type TableColumn,
} from './native-plan.ts';

/**
 * The values of one column of a block, as the writer appends them. One class for all kinds, so that the writer's loops meet one shape; a column uses the arrays
 * that its kind needs. Its memory is kept from block to block.
 */
export class NativeColumn {
  readonly #header: Uint8Array;
  readonly #step: NativeStep;
  /** Whether a map's keys are places in a list of them. */
  readonly #hasListedKeys: boolean;
  /** A byte for each value: 1 where it is null. */
  nulls: Uint8Array = new Uint8Array(0);
  /** Of Float64 columns, and of maps: the values. */
  doubles: Float64Array = new Float64Array(0);
  /** Integers of up to four bytes, and booleans. */
  integers: Uint8Array | Uint16Array | Uint32Array = new Uint8Array(0);
  /** Pairs of words, the lower first: integers of eight bytes, and where lists end. */
  words: Uint32Array = new Uint32Array(0);
  /** Texts, each with its length before it. */
  texts: Uint8Array = new Uint8Array(0);
  /** Values so far (of a map: of all its members), bytes of texts so far, and texts in lists so far. */
  count = 0;
  textEnd = 0;
  itemCount = 0;

  constructor(column: TableColumn, step: NativeStep) {
    this.#header = Uint8Array.from([
      ...lengthPrefixed(column.name),
      ...lengthPrefixed(column.type.replace(/^LowCardinality\((.*)\)$/, '$1')),
    ]);
    this.#step = step;
    this.#hasListedKeys = column.type.startsWith('Map(LowCardinality(');
  }

  /** Begins a block of so many rows. */
  begin(rowCount: number): void {
    const { write, isNullable, widthBytes, members } = this.#step;
    const valueCount = write === WRITE_MAP ? rowCount * members.length : rowCount;
    this.count = 0;
    this.textEnd = 0;
    this.itemCount = 0;
    if ((isNullable || write === WRITE_MAP) && this.nulls.length < valueCount) this.nulls = new Uint8Array(valueCount);
    switch (write) {
      case WRITE_INTEGER:
        if (widthBytes === 8) this.#reserveWords(valueCount);
        else if (this.integers.length < valueCount) this.integers = integersOf(widthBytes, valueCount);
        return;
      case WRITE_STRINGS:
        this.#reserveWords(valueCount);
        return;
      case WRITE_STRING:
        return;
      default:
        if (widthBytes === 1) {
          if (this.integers.length < valueCount) this.integers = new Uint8Array(valueCount);
        } else if (this.doubles.length < valueCount) this.doubles = new Float64Array(valueCount);
    }
  }

  /** Makes room for a text of so many bytes, its length included. */
  reserveText(size: number): void {
    if (this.textEnd + size <= this.texts.length) return;
    const larger = new Uint8Array(Math.max(4096, this.textEnd + size, this.texts.length * 2));
    larger.set(this.texts.subarray(0, this.textEnd));
    this.texts = larger;
  }

  /** Puts a pair of words: a whole number of 64 bits, below 2^53 in magnitude. */
  putWords(value: number): void {
    const high = Math.floor(value / 2 ** 32);
    this.words[this.count * 2] = value - high * 2 ** 32;
    this.words[this.count * 2 + 1] = high;
  }

  /** The column as it stands in a block (ClickHouse's source, `NativeWriter`): its name, its type, and its values by part. */
  parts(rowCount: number): readonly Uint8Array[] {
    const { write, isNullable, widthBytes } = this.#step;
    const nulls = isNullable ? [this.nulls.subarray(0, rowCount)] : [];
    switch (write) {
      case WRITE_MAP:
        return [this.#header, ...this.#mapParts(rowCount)];
      case WRITE_STRING:
        return [this.#header, ...nulls, this.texts.subarray(0, this.textEnd)];
      case WRITE_STRINGS:
        return [this.#header, bytesOf(this.words, rowCount * 2), this.texts.subarray(0, this.textEnd)];
      case WRITE_INTEGER: {
        const values = widthBytes === 8 ? bytesOf(this.words, rowCount * 2) : bytesOf(this.integers, rowCount);
        return [this.#header, ...nulls, values];
      }
      default: {
        const values = widthBytes === 1 ? this.integers : this.doubles;
        return [this.#header, ...nulls, bytesOf(values, rowCount)];
      }
    }
  }

  /** Where each map ends, all keys, whether each value is null, all values. The keys are the same for each row. */
  #mapParts(rowCount: number): readonly Uint8Array[] {
    const { members } = this.#step;
    const ends = new Uint32Array(rowCount * 2);
    for (let row = 0; row < rowCount; row++) ends[row * 2] = (row + 1) * members.length;
    const valueCount = rowCount * members.length;
    const values = [this.nulls.subarray(0, valueCount), bytesOf(this.doubles, valueCount)];
    if (this.#hasListedKeys)
      return [listVersion, bytesOf(ends, rowCount * 2), ...this.#listedKeys(rowCount), ...values];
    return [bytesOf(ends, rowCount * 2), this.#repeated(this.#step.keys, rowCount), ...values];
  }

  /**
   * Keys of type LowCardinality (ClickHouse's source, `SerializationLowCardinality`): what follows, how many keys the list has, the list, which begins with the
   * empty text, how many places follow, and the places, a byte each.
   */
  #listedKeys(rowCount: number): readonly Uint8Array[] {
    const { members, keys } = this.#step;
    const places = Uint8Array.from(members, (_, place) => place + 1);
    return [
      wordPair(listOfItsOwn),
      wordPair(members.length + 1),
      Uint8Array.of(0),
      keys,
      wordPair(rowCount * members.length),
      this.#repeated(places, rowCount),
    ];
  }

  /** A pattern as often as there are rows; kept for as many as the largest block had. */
  #repeated(pattern: Uint8Array, rowCount: number): Uint8Array {
    const size = pattern.length * rowCount;
    if (this.texts.length < size) {
      this.texts = new Uint8Array(size);
      this.texts.set(pattern);
      for (let filled = pattern.length; filled < size; filled *= 2) {
        this.texts.copyWithin(filled, 0, Math.min(filled, size - filled));
      }
    }
    return this.texts.subarray(0, size);
  }

  #reserveWords(count: number): void {
    if (this.words.length < count * 2) this.words = new Uint32Array(count * 2);
  }
}

/** The one version of a list of keys that there is. */
const listVersion = wordPair(1);
/** Places of one byte, in a list that comes with the block and is no one else's. */
const listOfItsOwn = 0x600;

function wordPair(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value, 0).buffer);
}

function integersOf(widthBytes: number, count: number): Uint8Array | Uint16Array | Uint32Array {
  if (widthBytes === 4) return new Uint32Array(count);
  return widthBytes === 2 ? new Uint16Array(count) : new Uint8Array(count);
}

function bytesOf(values: Float64Array | Uint8Array | Uint16Array | Uint32Array, count: number): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, count * values.BYTES_PER_ELEMENT);
}
