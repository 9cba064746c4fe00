import { strict as assert } from 'node:assert';
import type { MessageBatch } from '../record/message-batch.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { EncodeFailure, Encoded } from './encoder.ts';
import type { Partitioner } from './partitioner.ts';

/** How large a buffer may be to be kept for the next batch; larger is let go, so that one huge batch is not paid for ever. */
const maxKeptBytes = 64 * 2 ** 20;

/**
 * The messages of a batch while an encoder writes them, in two buffers that it keeps from batch to batch and copies from once at the end, so
 * that what is handed out is as large as it must be and nobody else's.
 *
 * For each row the encoder makes room ({@link reserve}), writes the key to `keyBytes` from `keyEnd` on and the value to `valueBytes` from `valueEnd` on, and says
 * {@link accept} with where they end, or {@link refuse}.
 */
export class MessageBuilder {
  keyBytes: Uint8Array = new Uint8Array(4096);
  valueBytes: Uint8Array = new Uint8Array(65_536);
  /** Views over the same bytes. */
  keyView: DataView = viewOf(this.keyBytes);
  valueView: DataView = viewOf(this.valueBytes);
  keyEnd = 0;
  valueEnd = 0;

  readonly #topic: string;
  readonly #partitioner: Partitioner;
  #count = 0;
  #keyOffsets = new Int32Array(1);
  #valueOffsets = new Int32Array(1);
  #timestampsMs = new Float64Array(0);
  #inputPartitions = new Int32Array(0);
  #failures: EncodeFailure[] = [];

  constructor(topic: string, partitioner: Partitioner) {
    this.#topic = topic;
    this.#partitioner = partitioner;
  }

  /** Begins a batch: the rows that follow are of it. */
  begin(records: RecordBatch): void {
    const capacity = records.rowCount;
    this.keyEnd = 0;
    this.valueEnd = 0;
    this.#count = 0;
    this.#keyOffsets = new Int32Array(capacity + 1);
    this.#valueOffsets = new Int32Array(capacity + 1);
    this.#timestampsMs = new Float64Array(capacity);
    this.#inputPartitions = new Int32Array(capacity);
    this.#failures = [];
  }

  /** Makes room for one more key and value of at most these sizes. Called before each row. */
  reserve(keySize: number, valueSize: number): void {
    if (this.keyBytes.length < this.keyEnd + keySize) {
      this.keyBytes = grown(this.keyBytes, this.keyEnd, keySize);
      this.keyView = viewOf(this.keyBytes);
    }
    if (this.valueBytes.length < this.valueEnd + valueSize) {
      this.valueBytes = grown(this.valueBytes, this.valueEnd, valueSize);
      this.valueView = viewOf(this.valueBytes);
    }
  }

  /** The row is the next message; its key and value end there. */
  accept(records: RecordBatch, row: number, keyEnd: number, valueEnd: number): void {
    const index = this.#count++;
    this.keyEnd = keyEnd;
    this.valueEnd = valueEnd;
    this.#keyOffsets[index + 1] = keyEnd;
    this.#valueOffsets[index + 1] = valueEnd;
    this.#timestampsMs[index] = records.eventTimesMs[row] ?? 0;
    this.#inputPartitions[index] = records.partitions[row] ?? 0;
  }

  /** The row gives no message; whatever was written of it is written over. */
  refuse(failure: EncodeFailure): void {
    this.#failures.push(failure);
  }

  /** Ends the batch, and chooses the messages' partitions. The builder keeps nothing that it hands out. */
  finish(): Encoded {
    const count = this.#count;
    const keys = { data: this.keyBytes.slice(0, this.keyEnd), offsets: this.#keyOffsets.slice(0, count + 1) };
    const values = { data: this.valueBytes.slice(0, this.valueEnd), offsets: this.#valueOffsets.slice(0, count + 1) };
    const partitions = new Int32Array(count);
    for (let index = 0; index < count; index++) {
      partitions[index] = this.#partitioner(keys, index, this.#inputPartitions[index] ?? 0);
    }
    const messages: MessageBatch = {
      topic: this.#topic,
      messageCount: count,
      partitions,
      offsets: new Float64Array(count),
      timestampsMs: this.#timestampsMs.slice(0, count),
      keys,
      values,
    };
    if (this.valueBytes.length > maxKeptBytes) {
      this.valueBytes = new Uint8Array(65_536);
      this.valueView = viewOf(this.valueBytes);
    }
    return { messages, failures: this.#failures };
  }
}

function grown(bytes: Uint8Array, used: number, more: number): Uint8Array {
  const needed = used + more;
  assert(needed < 2 ** 31, 'a batch of messages must be smaller than 2 GiB, since its offsets are 32-bit');
  const larger = new Uint8Array(Math.min(2 ** 31 - 1, Math.max(needed, bytes.length * 2)));
  larger.set(bytes.subarray(0, used));
  return larger;
}

/** A view over the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
