import { strict as assert } from 'node:assert';
import type { Worker } from 'node:worker_threads';
import type { EmbeddedClickHouse } from '../../clickhouse/embedded-clickhouse.ts';
import { SluiceError } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import type { SchemaRegistrySettings } from '../../serde/open-schema-registry.ts';
import { startWorkerThread } from '../../worker-thread.ts';
import type { Sink } from '../sink.ts';
import type { SinkThreadReply, SinkThreadRequest, SinkThreadSettings } from './sink-thread-protocol.ts';

/** Where to put a topic's messages, in the embedded profile. */
export interface ThreadedClickHouseSinkOptions {
  /** Not the sink's: its caller disposes of it. */
  readonly clickHouse: EmbeddedClickHouse;
  /** As in `ClickHouseSinkOptions`. */
  readonly table: string;
  /** Where the schemas of messages in Avro are. */
  readonly registry: SchemaRegistrySettings;
}

/**
 * A `ClickHouseSink` in a thread of its own, for a process that runs the job as well. A chunk goes to the server in many small writes, each after a turn of the
 * event loop; between the batches of a job that is busy, these turns come seldom, and ClickHouse would stand still for want of rows that are there.
 */
export class ThreadedClickHouseSink implements Sink {
  readonly name: string;
  readonly delivery = 'exactly-once';
  readonly #clickHouse: EmbeddedClickHouse;
  readonly #table: string;
  readonly #worker: Worker;
  #settle: ((reply: SinkThreadReply) => void) | null = null;
  /** Why the thread is gone. */
  #dead: SinkThreadReply | null = null;

  constructor({ clickHouse, table, registry }: ThreadedClickHouseSinkOptions) {
    this.name = `clickhouse ${table}`;
    this.#clickHouse = clickHouse;
    this.#table = table;
    const settings: SinkThreadSettings = { table, registry };
    this.#worker = startWorkerThread('./sink-worker', import.meta.url, settings);
    this.#worker.on('message', (reply: SinkThreadReply) => this.#answer(reply));
    this.#worker.on('error', (error) => this.#end(error.message));
    this.#worker.on('exit', (code) => this.#end(`it ended with code ${code}`));
  }

  /** @throws {SluiceError} what `ClickHouseSink.write` throws; `SINK_THREAD_FAILED` when the thread is gone. */
  async write(messages: MessageBatch): Promise<void> {
    assert(this.#settle === null, 'a sink is given one chunk at a time');
    // Starts the server anew, where it is gone.
    await this.#clickHouse.client();
    const { url, username, password } = this.#clickHouse.endpoint;
    const request: SinkThreadRequest = { address: { url, username, password }, messages };
    const reply =
      this.#dead ??
      (await new Promise<SinkThreadReply>((settle) => {
        this.#settle = settle;
        this.#worker.postMessage(request, []);
      }));
    if (reply.kind === 'written') return;
    const { code, message, retryable, fields } = reply;
    if (code === null) throw new Error(message);
    throw new SluiceError(code, message, { retryable, fields });
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('it was closed');
    await this.#worker.terminate();
  }

  #answer(reply: SinkThreadReply): void {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(reply);
  }

  #end(cause: string): void {
    this.#dead ??= {
      kind: 'failed',
      code: 'SINK_THREAD_FAILED',
      message: `the thread that writes ClickHouse table ${this.#table} must run as long as its job; ${cause}. Start the job again: it goes on where it was`,
      retryable: 'permanent',
      fields: { table: this.#table },
    };
    this.#answer(this.#dead);
  }
}
