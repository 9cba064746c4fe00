import type { MessageBatch } from '../record/message-batch.ts';

/**
 * Where a follower puts committed messages: ClickHouse, a file, the console. A follower reads an output topic that is already committed
 * (so a dead sink costs lag and nothing else) and calls, one at a time:
 *
 *   `write(messages)` → its position is stored → `write(next)` …
 *
 * After a crash the last chunk, cut exactly as before, is written again; a sink is therefore *idempotent* per (topic, partition, offset), or says in
 * `delivery` that it repeats.
 */
export interface Sink extends AsyncDisposable {
  /** For plans, errors and metrics: `clickhouse predictions`, `file out.jsonl`. */
  readonly name: string;
  /** What a reader of the sink sees after a crash: each message once, or some of the last chunk again. */
  readonly delivery: 'exactly-once' | 'at-least-once';
  /** Resolves when the messages are durable. @throws {SluiceError} `transient` when the sink is away: the caller waits and writes the same again. */
  write(messages: MessageBatch): Promise<void>;
}
