import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll } from 'vitest';
import { EmbeddedClickHouse } from '../clickhouse/embedded-clickhouse.ts';
import { listedSchemas } from '../serde/testing/listed-schemas.ts';
import { systemClock } from '../time/clock.ts';
import { ClickHouseSink } from './clickhouse/clickhouse-sink.ts';
import { ConsoleSink } from './console/console-sink.ts';
import { openJsonLinesSink } from './file/json-lines-sink.ts';
import { ThreadedClickHouseSink } from './clickhouse/threaded-clickhouse-sink.ts';
import { sinkConformance, type SinkUnderTest } from './sink.conformance.ts';
import type { Sink } from './sink.ts';

let directory: string;
let clickHouse: EmbeddedClickHouse;
let tests = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-sinks-'));
  clickHouse = await EmbeddedClickHouse.open({ directory: join(directory, 'clickhouse'), clock: systemClock });
});

afterAll(async () => {
  await clickHouse[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const nothingToClose = { [Symbol.asyncDispose]: () => Promise.resolve() };
const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** A table with nothing in it, and how it is read. */
async function tableUnderTest(openSink: (table: string) => Sink): Promise<SinkUnderTest> {
  const table = `conformance_${tests++}`;
  const client = await clickHouse.client();
  await client.command({
    query: `CREATE TABLE ${table} (place String, text String, topic_partition UInt32, topic_offset UInt64, topic_timestamp DateTime64(3))
      ENGINE = ReplacingMergeTree ORDER BY (topic_partition, topic_offset) SETTINGS non_replicated_deduplication_window = 100`,
  });
  return {
    ...nothingToClose,
    open: () => Promise.resolve(openSink(table)),
    seen: async () => {
      const rows = await client.query({ query: `SELECT place, text FROM ${table} FINAL`, format: 'JSONEachRow' });
      return linesOf(await rows.text());
    },
  };
}

sinkConformance('ClickHouse, read with FINAL', () =>
  tableUnderTest((table) => new ClickHouseSink({ clickHouse, table, registry: listedSchemas() })),
);

sinkConformance('ClickHouse written to by a thread, read with FINAL', () => {
  const registry = { kind: 'directory', directory: join(directory, 'schemas') } as const;
  return tableUnderTest((table) => new ThreadedClickHouseSink({ clickHouse, table, registry }));
});

sinkConformance('a file of JSON lines', () => {
  const path = join(directory, `conformance-${tests++}.jsonl`);
  return Promise.resolve({
    ...nothingToClose,
    open: () => openJsonLinesSink(path),
    seen: () => Promise.resolve(existsSync(path) ? linesOf(readFileSync(path, 'utf8')) : []),
  });
});

sinkConformance('the console', () => {
  let printed = '';
  const output = new Writable({
    write(bytes: Buffer, _encoding, done): void {
      printed += bytes.toString();
      done();
    },
  });
  return Promise.resolve({
    ...nothingToClose,
    open: () => Promise.resolve(new ConsoleSink({ output: Object.assign(output, { isTTY: false }) })),
    seen: () => Promise.resolve(linesOf(printed).map((line) => line.split('\t')[2] ?? '')),
  });
});
