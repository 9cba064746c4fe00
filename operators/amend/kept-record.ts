import { SluiceError } from '../../engine/error.ts';
import { StateBytes, type StateWriter } from '../aggregate/state-bytes.ts';
import type { AmendLayout } from './amend-layout.ts';

/** The values of a record's columns, by their slots. A null number is NaN. */
export interface Values {
  readonly numbers: Float64Array;
  readonly texts: (string | null)[];
}

/** A record that was answered, as long as it is watched or in reach of the windows of one that is. Mutable: the operator owns it. */
export interface KeptRecord {
  readonly partition: number;
  readonly offset: number;
  readonly eventTimeMs: number;
  /** Rises with every record that the operator takes in: the order of those with the same event time. */
  readonly order: number;
  /** When the log took the record; NaN where it does not say. */
  readonly arrivedMs: number;
  /** As all that has arrived so far makes them, in order of event time. */
  values: Values;
  /** As they were told last: with the decision, or with its last amendment. The same object as `values` where they are the same. */
  told: Values;
  /** How many amendments there have been. */
  revision: number;
  /** Whether live windows may see the record otherwise than it is kept here, or not at all. */
  isDiverged: boolean;
}

const formatVersion = 1;
/** What of a record is not as when it came. */
const divergedBit = 1;
const toldApartBit = 2;

/** An independent copy. */
export function copyOf({ numbers, texts }: Values): Values {
  return { numbers: numbers.slice(), texts: [...texts] };
}

/** The name that a record has in the store: partition and offset, big-endian, so that a store which sorts has them in order. */
export function recordName({ partition, offset }: Pick<KeptRecord, 'partition' | 'offset'>): Uint8Array {
  const name = new Uint8Array(12);
  const view = new DataView(name.buffer);
  view.setInt32(0, partition);
  view.setUint32(4, Math.floor(offset / 0x1_0000_0000));
  view.setUint32(8, offset % 0x1_0000_0000);
  return name;
}

/**
 * A record as it is stored under its {@link recordName}: `u8 version · u8 bits · f64 event time · f64 order · f64 arrival · u32 revision · values [· told]`, values as
 * `u32 numbers · f64… · u32 texts · (u8 whether there is one [· u32 size · UTF-8])…`, little-endian.
 */
export function encodeRecord(record: KeptRecord, to: StateWriter): Uint8Array {
  const { eventTimeMs, order, arrivedMs, values, told, revision, isDiverged } = record;
  to.u8(formatVersion);
  to.u8((isDiverged ? divergedBit : 0) | (told === values ? 0 : toldApartBit));
  for (const number of [eventTimeMs, order, arrivedMs]) to.f64(number);
  to.u32(revision);
  writeValues(to, values);
  if (told !== values) writeValues(to, told);
  return to.take();
}

/** Reads what {@link encodeRecord} wrote. @throws {SluiceError} `STATE_FORMAT` */
export function decodeRecord(
  name: Uint8Array,
  bytes: Uint8Array,
  layout: Pick<AmendLayout, 'numbers' | 'texts'>,
): KeptRecord {
  const from = new StateBytes(bytes);
  try {
    const found = from.u8();
    if (found !== formatVersion) throw new RangeError(`version ${found}`);
    const bits = from.u8();
    const [eventTimeMs, order, arrivedMs] = [from.f64(), from.f64(), from.f64()];
    const revision = from.u32();
    const values = readValues(from, layout);
    const told = (bits & toldApartBit) === 0 ? values : readValues(from, layout);
    const isDiverged = (bits & divergedBit) !== 0;
    return { ...positionOf(name), eventTimeMs, order, arrivedMs, values, told, revision, isDiverged };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SluiceError(
      'STATE_FORMAT',
      `a stored record must have version ${formatVersion} and be whole; got ${cause.message}: rebuild the state from the log`,
      { cause },
    );
  }
}

function positionOf(name: Uint8Array): Pick<KeptRecord, 'partition' | 'offset'> {
  const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
  return { partition: view.getInt32(0), offset: view.getUint32(4) * 0x1_0000_0000 + view.getUint32(8) };
}

function writeValues(to: StateWriter, { numbers, texts }: Values): void {
  to.u32(numbers.length);
  for (const number of numbers) to.f64(number);
  to.u32(texts.length);
  for (const text of texts) {
    to.u8(text === null ? 0 : 1);
    if (text === null) continue;
    const utf8 = Buffer.from(text);
    to.u32(utf8.length);
    to.raw(utf8);
  }
}

function readValues(from: StateBytes, layout: Pick<AmendLayout, 'numbers' | 'texts'>): Values {
  const numbers = Float64Array.from({ length: from.u32() }, () => from.f64());
  const texts = Array.from({ length: from.u32() }, () =>
    from.u8() === 0 ? null : Buffer.from(from.raw(from.u32())).toString(),
  );
  if (numbers.length !== layout.numbers || texts.length !== layout.texts) throw new RangeError('other columns');
  return { numbers, texts };
}
