import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from '@clickhouse/client';
import { waitUntil } from '../../../tools/services/launched-process.ts';
import { startClickHouse, type ClickHouseService } from '../../../tools/services/start-clickhouse.ts';
import type { SinkProgramSettings } from '../../../jobs/testing/sink-program.ts';

const program = fileURLToPath(new URL('../../../jobs/testing/sink-program.ts', import.meta.url));
const table = 'totals';
const columns =
  'id String, card String, source_offset Int64, total Float64, count Int64, sum Nullable(Float64), ' +
  'topic_partition Int32, topic_offset Int64, topic_timestamp DateTime64(3)';

/** A row that the sink wrote, as a reader with `FINAL` sees it. */
export interface SinkRow {
  readonly partition: number;
  readonly offset: number;
  readonly id: string;
  readonly total: number;
}

/** A ClickHouse of one run, and the sink job that copies the run's outputs into it; both can be killed. */
export class SinkUnderFaults implements AsyncDisposable {
  readonly #dir: string;
  readonly #settings: Omit<SinkProgramSettings, 'clickHouseUrl'>;
  #server: ClickHouseService;
  #child: ChildProcess | null = null;

  private constructor(dir: string, settings: Omit<SinkProgramSettings, 'clickHouseUrl'>, server: ClickHouseService) {
    this.#dir = dir;
    this.#settings = settings;
    this.#server = server;
  }

  static async start(dir: string, brokers: readonly string[], topic: string): Promise<SinkUnderFaults> {
    const server = await startClickHouse({ dir: join(dir, 'clickhouse') });
    const client = createClient({ url: server.url });
    await client.command({
      query: `CREATE TABLE ${table} (${columns}) ENGINE = ReplacingMergeTree ORDER BY (topic_partition, topic_offset)
        SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1`,
    });
    await client.close();
    const settings = {
      brokers,
      name: `sink.${topic}`,
      copies: [{ topic, table }],
      sessionTimeoutMs: 1_500,
      bounds: { chunkRows: 100, chunkMs: 50 },
    };
    const sink = new SinkUnderFaults(dir, settings, server);
    sink.#startProgram();
    return sink;
  }

  /** Kills ClickHouse; resolves the returned call's promise when it is back. */
  async killServer(): Promise<() => Promise<void>> {
    const { port } = this.#server;
    await this.#server.kill();
    return async () => {
      this.#server = await startClickHouse({ dir: join(this.#dir, 'clickhouse'), port });
    };
  }

  /** Kills the sink job, and starts it again. */
  async killProgram(): Promise<void> {
    await this.#endProgram();
    this.#startProgram();
  }

  /** The rows, once there are so many of them, or when time is up. */
  async rows(count: number, withinMs: number): Promise<SinkRow[]> {
    const client = createClient({ url: this.#server.url });
    const ask = async (query: string): Promise<unknown[]> =>
      (await client.query({ query, format: 'JSONEachRow' })).json();
    const isWhole = async (): Promise<boolean> => {
      const [row] = (await ask(`SELECT toUInt32(count()) AS rows FROM ${table} FINAL`)) as { rows: number }[];
      return (row?.rows ?? 0) >= count;
    };
    await waitUntil(isWhole, withinMs);
    const rows = await ask(
      `SELECT topic_partition AS partition, toFloat64(topic_offset) AS offset, id, total FROM ${table} FINAL`,
    );
    await client.close();
    return rows as SinkRow[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endProgram();
    await this.#server.kill();
  }

  #startProgram(): void {
    const settings: SinkProgramSettings = { ...this.#settings, clickHouseUrl: this.#server.url };
    this.#child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(settings)], {
      stdio: 'ignore',
      env: { ...process.env, UV_THREADPOOL_SIZE: '32' },
    });
  }

  async #endProgram(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}
