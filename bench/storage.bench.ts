import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { EmbeddedClickHouse } from '../engine/clickhouse/embedded-clickhouse.ts';
import { applyMigrations } from '../engine/clickhouse/migrations.ts';
import { followTopic } from '../engine/execution/follower.ts';
import type { MessageBatch } from '../engine/record/message-batch.ts';
import { listedSchemas } from '../engine/serde/testing/listed-schemas.ts';
import { ClickHouseSink } from '../engine/sink/clickhouse/clickhouse-sink.ts';
import { EmbeddedTopicSource } from '../engine/source/embedded/embedded-topic-source.ts';
import { EmbeddedCommitLog } from '../engine/storage/embedded-commit-log.ts';
import { EmbeddedPositions } from '../engine/storage/embedded-positions.ts';
import { messageBatchOf } from '../engine/storage/message-batch-builder.ts';
import { Storage } from '../engine/storage/storage.ts';
import type { Durability } from '../engine/storage/upkeep.ts';
import { systemClock } from '../engine/time/clock.ts';
import { cpuSecondsOf, residentMiBOf } from './processes.ts';

/**
 * The embedded log and the embedded ClickHouse by themselves: what a commit, a read, an insert and a query take. Every figure is printed with its percentiles,
 * since a neighbour on the machine shows in the 99th first; run it twice before quoting one.
 *
 *     npm run bench -- storage
 */
if (process.argv[2] === '--tail') await tail(process.argv[3] ?? '');
else await measure();

async function measure(): Promise<void> {
  console.log(
    `${new Date().toISOString()}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}\n`,
  );
  await inDirectory(commits('interval', 4_000));
  await inDirectory(commits('every-commit', 300));
  await inDirectory(reads);
  await inDirectory(notice);
  await inDirectory(clickHouse);
}

function commits(durability: Durability, count: number): (directory: string) => Promise<void> {
  return async (directory) => {
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock, durability });
    storage.createTopic('output', { partitionCount: 4 });
    await using log = new EmbeddedCommitLog({ storage, job: 'bench', jobDigest: 'd', inputTopic: null });
    await log.acquire();
    let sequence = 0;
    const commit = async (outputs: readonly MessageBatch[], stateKeys: number): Promise<void> => {
      const writes = Array.from({ length: stateKeys }, (_, index) => {
        const key = Buffer.from(`card ${(sequence * 7_919 + index * 104_729) % 100_000}`);
        return { operatorId: 'card', key, value: Buffer.alloc(400, sequence) };
      });
      const metadata = { batchSequence: sequence, watermarksMs: [], jobDigest: 'd', modelDigest: '' };
      const ranges = [{ partition: 0, from: sequence, to: sequence + 1 }];
      sequence += 1;
      await log.commit({ ranges, metadata, outputs, state: sequence % 10 === 0 || stateKeys > 0 ? { writes } : null });
    };
    const small = [messageBatchOf('output', [{ value: Buffer.alloc(500, 1), key: 'card 1' }])];
    const thousand = [
      messageBatchOf(
        'output',
        Array.from({ length: 1_000 }, (_, i) => ({ value: Buffer.alloc(500, 1), key: `card ${i}`, partition: i % 4 })),
      ),
    ];
    report(`commit, ${durability}: 1 × 500 bytes`, await timed(count, async () => commit(small, 0)));
    report(
      `commit, ${durability}: 1,000 × 500 bytes in 4 partitions`,
      await timed(count / 4, async () => commit(thousand, 0)),
      1_000,
    );
    report(
      `commit, ${durability}: the same, with 1,000 of 100,000 keys × 400 bytes`,
      await timed(count / 10, async () => commit(thousand, 1_000)),
      1_000,
    );
  };
}

async function reads(directory: string): Promise<void> {
  await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
  storage.createTopic('input', { partitionCount: 4 });
  const messages = Array.from({ length: 1_000 }, (_, i) => ({
    value: Buffer.alloc(240, 1),
    key: `card ${i}`,
    partition: i % 4,
  }));
  for (let batch = 0; batch < 1_000; batch++) await storage.append(messageBatchOf('input', messages));
  const source = new EmbeddedTopicSource(storage, 'input');
  await source.seek([0, 1, 2, 3].map((partition) => ({ partition, offset: 0 })));
  const poll = async (): Promise<void> => {
    await source.poll({ maxRecords: 1_000, maxWaitMs: 0 });
  };
  report('poll of 1,000 × 240 bytes from 4 partitions', await timed(1_000, poll), 1_000);
}

/** From the append of one process to the poll of another. */
async function notice(directory: string): Promise<void> {
  await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
  storage.createTopic('noticed', { partitionCount: 1 });
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), self, '--tail', directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const delays: number[] = [];
  for (let count = 0; count < 300; count++) {
    // Not in step with the reader's own rhythm.
    await systemClock.sleep(3 + (count % 11));
    await storage.append(messageBatchOf('noticed', [{ value: String(performance.timeOrigin + performance.now()) }]));
    const line = await lines.next();
    delays.push(Number(line.value));
  }
  child.kill('SIGKILL');
  await once(child, 'close');
  report('append here → poll in another process', delays);
}

async function tail(directory: string): Promise<void> {
  await using storage = await Storage.open({ directory, access: 'read', clock: systemClock });
  const source = new EmbeddedTopicSource(storage, 'noticed');
  await source.seek([{ partition: 0, offset: 0 }]);
  console.log('ready');
  for (;;) {
    const polled = await source.poll({ maxRecords: 1, maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') continue;
    const sentMs = Number(
      Buffer.from(polled.messages.values.data).toString('latin1', 0, polled.messages.values.offsets[1]),
    );
    console.log(performance.timeOrigin + performance.now() - sentMs);
  }
}

async function clickHouse(directory: string): Promise<void> {
  const startedMs = performance.now();
  await using server = await EmbeddedClickHouse.open({ directory, clock: systemClock });
  const client = await server.client();
  await client.ping({ select: true });
  console.log(
    `ClickHouse answers ${(performance.now() - startedMs).toFixed(0)} ms after it was asked for, with ${Math.round(residentMiBOf(server.endpoint.pid))} MB resident`,
  );
  await applyMigrations(client);
  await client.command({
    query:
      'CREATE TABLE plain (id UInt64, card String, terminal String, amount Float64, at DateTime64(3), fraud UInt8) ENGINE = MergeTree ORDER BY id',
  });
  const rowCount = 10_000;
  const rows = Array.from({ length: rowCount }, (_, id) => ({
    id,
    card: `card ${id % 977}`,
    terminal: `terminal ${id % 97}`,
    amount: id / 7,
    at: 1_700_000_000_000 + id,
    fraud: id % 100 === 0 ? 1 : 0,
  }));
  const json = Buffer.from(rows.map((row) => JSON.stringify(row)).join('\n'));
  const binary = Buffer.concat(
    rows.map(({ id, card, terminal, amount, at, fraud }) => {
      const fixed = Buffer.alloc(25);
      fixed.writeBigUInt64LE(BigInt(id), 0);
      fixed.writeDoubleLE(amount, 8);
      fixed.writeBigInt64LE(BigInt(at), 16);
      fixed[24] = fraud;
      const texts = [card, terminal].map((text) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]));
      return Buffer.concat([fixed.subarray(0, 8), ...texts, fixed.subarray(8)]);
    }),
  );
  const insert = (format: string, values: Buffer): (() => Promise<void>) => {
    return async () => {
      const { stream } = await client.exec({
        query: `INSERT INTO plain FORMAT ${format}`,
        values: Readable.from([values], { objectMode: false }),
        clickhouse_settings: { async_insert: 0, input_format_parallel_parsing: 0, max_threads: 1 },
      });
      await finished(stream.resume());
    };
  };
  const cost = async (name: string, body: () => Promise<void>, count: number): Promise<void> => {
    await body();
    const before = cpuSecondsOf(server.endpoint.pid) * 1_000;
    const times = await timed(count, body);
    const perRow = (cpuSecondsOf(server.endpoint.pid) * 1_000 - before) / count / rowCount;
    report(name, times, rowCount, `${(perRow * 1000).toFixed(2)} µs of the server's CPU a row`);
  };
  await cost(
    `insert of ${rowCount} rows, JSONEachRow, ${Math.round(json.length / rowCount)} bytes a row`,
    insert('JSONEachRow', json),
    20,
  );
  await cost(
    `insert of ${rowCount} rows, RowBinary, ${Math.round(binary.length / rowCount)} bytes a row`,
    insert('RowBinary', binary),
    20,
  );
  const query = (sql: string): (() => Promise<void>) => {
    return async () => {
      await (await client.query({ query: sql, format: 'JSONEachRow' })).json();
    };
  };
  report('SELECT 1', await timed(200, query('SELECT 1')));

  await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
  storage.createTopic('fraud_predictions', { partitionCount: 4 });
  const total = 200_000;
  for (let first = 0; first < total; first += 1_000) await storage.append(predictions(first, 1_000));
  const stop = new AbortController();
  const before = cpuSecondsOf(server.endpoint.pid) * 1_000;
  const ownBefore = process.cpuUsage();
  const followMs = performance.now();
  const writes: number[] = [];
  await followTopic({
    source: new EmbeddedTopicSource(storage, 'fraud_predictions'),
    sink: new ClickHouseSink({ clickHouse: server, table: 'predictions', registry: listedSchemas() }),
    positions: new EmbeddedPositions(storage, 'clickhouse', 'fraud_predictions'),
    clock: systemClock,
    signal: stop.signal,
    onProgress: ({ writeMs, lagRecords }) => {
      writes.push(writeMs);
      if (lagRecords === 0) stop.abort();
    },
  });
  const seconds = (performance.now() - followMs) / 1_000;
  const own = process.cpuUsage(ownBefore);
  const serverUs = ((cpuSecondsOf(server.endpoint.pid) * 1_000 - before) * 1_000) / total;
  report(
    'predictions followed, 10,000 a chunk, 1.3 kB and 30 features each',
    writes,
    rowCount,
    `${Math.round(total / seconds).toLocaleString('en-US')} rows/s overall; CPU a row: ${serverUs.toFixed(1)} µs there, ${((own.user + own.system) / total).toFixed(2)} µs here`,
  );
  report('predictions: count of 200,000', await timed(50, query('SELECT count() FROM predictions_current')));
  report(
    'predictions: alerts_hourly of 200,000',
    await timed(20, query('SELECT * FROM alerts_hourly ORDER BY hour DESC LIMIT 24')),
  );
  report(
    'predictions: those of one card',
    await timed(
      50,
      query("SELECT * FROM predictions_current WHERE card_id = 'card 17' ORDER BY event_time DESC LIMIT 50"),
    ),
  );
  console.log(`ClickHouse has ${Math.round(residentMiBOf(server.endpoint.pid))} MB resident in the end`);
}

function predictions(first: number, count: number): MessageBatch {
  return messageBatchOf(
    'fraud_predictions',
    Array.from({ length: count }, (_, index) => {
      const number = first + index;
      const partition = number % 4;
      const features = Object.fromEntries(
        Array.from({ length: 30 }, (_unused, i) => [`some_feature_${i}`, i % 9 === 0 ? null : (number * (i + 1)) / 7]),
      );
      return {
        partition,
        key: `card ${number % 977}`,
        value: JSON.stringify({
          transaction_id: `tx ${number}`,
          amount: number / 7,
          rolling_avg_7d: number / 9,
          amount_to_avg_ratio: 9 / 7,
          prediction: number % 100 === 0 ? 1 : 0,
          probability: (number % 1_000) / 1_000,
          threshold: 0.5,
          card_id: `card ${number % 977}`,
          terminal_id: `terminal ${number % 97}`,
          event_time: new Date(1_700_000_000_000 + number * 1_000).toISOString(),
          model: 'fraud',
          model_version: '1',
          model_digest: 'a'.repeat(64),
          feature_set_digest: 'b'.repeat(64),
          source_partition: partition,
          source_offset: (number - partition) / 4,
          late: false,
          degraded: false,
          features,
        }),
      };
    }),
  );
}

async function timed(count: number, body: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let done = 0; done < count; done++) {
    const startedMs = performance.now();
    await body();
    times.push(performance.now() - startedMs);
  }
  return times;
}

/** `records`: how many are in each, to give a rate besides. */
function report(name: string, times: readonly number[], records = 0, further = ''): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(3);
  const total = sorted.reduce((sum, time) => sum + time, 0);
  const rate =
    records === 0 ? '' : `  ${Math.round((records * sorted.length * 1_000) / total).toLocaleString('en-US')} records/s`;
  console.log(
    `${name}\n    p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)} ms  (${sorted.length} times)${rate}${further === '' ? '' : `  ${further}`}`,
  );
}

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
