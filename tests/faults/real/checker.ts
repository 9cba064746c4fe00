import { createClient } from '@clickhouse/client';
import { job } from '../simulation/input-log.ts';
import { secretNumber } from './input-feed.ts';
import type { CommittedRecord, RawMessage } from './raw-kafka.ts';
import type { SinkRow } from './sink-under-faults.ts';
import type { StoredState } from './stored-state.ts';

/** Everything that is in Kafka and Redis after a run, as plain readers found it. */
export interface Remains {
  readonly input: readonly RawMessage[];
  readonly outputs: readonly RawMessage[];
  readonly deadLetters: readonly RawMessage[];
  /** What a committed reader saw of the outputs and dead letters while the run went on. */
  readonly seen: readonly RawMessage[];
  readonly commits: readonly CommittedRecord[];
  readonly state: StoredState;
  /** What is in ClickHouse, read with `FINAL`; `null` in a run without a sink. */
  readonly sinkRows: readonly SinkRow[] | null;
  /** All that the workers said. */
  readonly logs: string;
}

/** One broken invariant, by its number in `exactly-once.md`. */
export interface RealViolation {
  readonly invariant: string;
  readonly what: string;
}

interface Check {
  readonly invariant: string;
  readonly what: string;
  /** Gives the rows that break it. */
  readonly rows: string;
}

const retentionMs = job.windowMs + job.allowedLatenessMs;

/** The records that count: well-formed, and not sent before. */
const kept = `
SELECT partition, offset, JSONExtractString(value, 'id') AS id, JSONExtractString(value, 'card') AS card,
  JSONExtractFloat(value, 'time') AS time, JSONExtractFloat(value, 'amount') AS amount
FROM input WHERE isValidJSON(value) ORDER BY partition, offset LIMIT 1 BY partition, id`;

/** What each of them must be answered with, by the words of semantics.md: a running total knows all that came before, a window what is not later. */
const expected = `
SELECT a.partition AS partition, a.offset AS source_offset, any(a.id) AS id,
  sumIf(b.amount, b.offset <= a.offset) AS running_total, sumIf(b.amount, b.offset <= a.offset AND b.time <= a.time) AS window_total,
  countIf(b.offset < a.offset AND b.time > a.time - ${job.windowMs} AND b.time <= a.time) AS count,
  sumIf(b.amount, b.offset < a.offset AND b.time > a.time - ${job.windowMs} AND b.time <= a.time) AS amounts
FROM kept AS a INNER JOIN kept AS b ON a.partition = b.partition AND a.card = b.card
GROUP BY a.partition, a.offset`;

/** By the partition of the record that they answer. The command puts features into an object of their own, and answers into partitions by their keys. */
const answers = `
WITH if(JSONHas(value, 'features'), JSONExtractRaw(value, 'features'), value) AS answer
SELECT if(JSONHas(value, 'source_partition'), toInt32(JSONExtractInt(value, 'source_partition')), out_partition) AS partition, out_partition, offset, JSONExtractInt(value, 'source_offset') AS source_offset, JSONExtractString(value, 'id') AS id,
  JSONExtractFloat(answer, 'total') AS total, JSONHas(value, 'features') AS is_window, JSONExtractInt(answer, 'count') AS count,
  JSONExtractFloat(answer, 'sum') AS amounts, JSONType(answer, 'sum') = 'Null' AS is_empty
FROM (SELECT partition AS out_partition, offset, value FROM outputs)`;

const letters = `
SELECT partition, offset, JSONExtractInt(value, 'partition') AS source_partition, JSONExtractInt(value, 'offset') AS source_offset,
  base64Decode(JSONExtractString(value, 'value')) AS original
FROM dead_letters`;

const checks: readonly Check[] = [
  {
    invariant: 'I1',
    what: 'records without an answer',
    rows: 'SELECT e.partition, e.source_offset, e.id FROM expected AS e LEFT ANTI JOIN answers AS a ON e.partition = a.partition AND e.source_offset = a.source_offset',
  },
  {
    invariant: 'I1',
    what: 'records answered more than once',
    rows: 'SELECT partition, source_offset, count() AS times FROM answers GROUP BY partition, source_offset HAVING times > 1',
  },
  {
    invariant: 'I1',
    what: 'answers to what is no record',
    rows: 'SELECT a.partition, a.offset, a.source_offset FROM answers AS a LEFT ANTI JOIN expected AS e ON e.partition = a.partition AND e.source_offset = a.source_offset',
  },
  {
    invariant: 'I11',
    what: 'answers with other values than SQL over the log gives',
    rows: `SELECT e.partition, e.source_offset, if(a.is_window, e.window_total, e.running_total) AS wanted, a.total, e.count, a.count, e.amounts, a.amounts
      FROM expected AS e INNER JOIN answers AS a ON e.partition = a.partition AND e.source_offset = a.source_offset
      WHERE e.id != a.id OR wanted != a.total OR e.count != a.count OR e.amounts != a.amounts OR a.is_empty != (e.count = 0)`,
  },
  {
    invariant: 'I1',
    what: 'messages that a committed reader saw, and that are gone or other now',
    rows: `SELECT topic, partition, offset FROM seen
      WHERE (topic, partition, offset, value) NOT IN (SELECT 'outputs', partition, offset, value FROM outputs)
        AND (topic, partition, offset, value) NOT IN (SELECT 'dead letters', partition, offset, value FROM dead_letters)`,
  },
  {
    invariant: 'I1',
    what: 'messages that were seen out of order or twice',
    rows: `SELECT topic, partition, offset FROM (
        SELECT topic, partition, offset, lagInFrame(offset, 1, -1) OVER (PARTITION BY topic, partition ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS former FROM seen
      ) WHERE offset <= former`,
  },
  {
    invariant: 'I2',
    what: 'answers that are not in the order of their records',
    rows: `SELECT partition, offset, source_offset FROM (
        SELECT *, lagInFrame(source_offset, 1, -1) OVER (PARTITION BY partition, out_partition ORDER BY offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS former FROM answers
      ) WHERE source_offset <= former`,
  },
  {
    invariant: 'I3',
    what: 'positions that went back',
    rows: `SELECT partition, at, offset, former FROM (
        SELECT *, lagInFrame(offset, 1, 0) OVER (PARTITION BY partition ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS former FROM commits
      ) WHERE offset < former`,
  },
  {
    invariant: 'I3',
    what: 'partitions whose position is not the end of the input',
    rows: `SELECT partition, last, position FROM (SELECT partition, max(offset) + 1 AS last FROM input GROUP BY partition) AS i
      LEFT JOIN (SELECT partition, argMax(offset, at) AS position FROM commits GROUP BY partition) AS c USING (partition) WHERE last != position`,
  },
  {
    invariant: 'I6',
    what: 'commits of an owner after those of a later one',
    rows: `SELECT partition, at, epoch, former FROM (
        SELECT *, lagInFrame(epoch, 1, 0) OVER (PARTITION BY partition ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS former FROM commits
      ) WHERE epoch < former`,
  },
  {
    invariant: 'I4',
    what: 'totals in Redis that are not those of the log up to the state',
    rows: `SELECT partition, card, sum(want) AS wanted, sum(have) AS stored FROM (
        SELECT k.partition AS partition, card, amount AS want, 0.0 AS have FROM kept AS k INNER JOIN heads AS h ON k.partition = h.partition WHERE k.offset < h.offset
        UNION ALL SELECT partition, card, 0.0, total FROM totals
      ) GROUP BY partition, card HAVING wanted != stored`,
  },
  {
    invariant: 'I4',
    what: 'rows of windows in Redis that are not those of the log up to the state',
    rows: `SELECT partition, card, time, sum(want) AS wanted, sum(have) AS stored FROM (
        SELECT k.partition AS partition, card, time, amount AS want, 0.0 AS have FROM kept AS k INNER JOIN heads AS h ON k.partition = h.partition
          WHERE k.offset < h.offset AND k.time > h.watermark - ${retentionMs}
        UNION ALL SELECT r.partition AS partition, card, time, 0.0 AS want, amount AS have FROM rows AS r INNER JOIN heads AS h ON r.partition = h.partition
          WHERE r.time > h.watermark - ${retentionMs}
      ) GROUP BY partition, card, time HAVING wanted != stored`,
  },
  {
    invariant: 'I4',
    what: 'ids remembered in Redis that are not those of the log up to the state',
    rows: `SELECT partition, id, sum(want) AS wanted, sum(have) AS stored FROM (
        SELECT k.partition AS partition, id, 1 AS want, 0 AS have FROM kept AS k INNER JOIN heads AS h ON k.partition = h.partition
          WHERE k.offset < h.offset AND k.time > h.watermark - ${job.duplicatesWithinMs}
        UNION ALL SELECT i.partition AS partition, id, 0 AS want, 1 AS have FROM ids AS i INNER JOIN heads AS h ON i.partition = h.partition
          WHERE i.time > h.watermark - ${job.duplicatesWithinMs}
      ) GROUP BY partition, id HAVING wanted != stored`,
  },
  {
    invariant: 'I5',
    what: 'states ahead of the committed position',
    rows: `SELECT h.partition, h.offset, position FROM heads AS h
      INNER JOIN (SELECT partition, argMax(offset, at) AS position FROM commits GROUP BY partition) AS c ON h.partition = c.partition WHERE h.offset > position`,
  },
  {
    invariant: 'I12',
    what: 'malformed records that are not in the dead letters exactly once, with their bytes',
    rows: `SELECT i.partition, i.offset, countIf(l.original = i.value) AS letters FROM (SELECT * FROM input WHERE NOT isValidJSON(value)) AS i
      LEFT JOIN letters AS l ON l.source_partition = i.partition AND l.source_offset = i.offset GROUP BY i.partition, i.offset HAVING letters != 1`,
  },
  {
    invariant: 'I12',
    what: 'dead letters of what is not malformed',
    rows: `SELECT source_partition, source_offset FROM letters
      WHERE (source_partition, source_offset) NOT IN (SELECT partition, offset FROM input WHERE NOT isValidJSON(value))`,
  },
  {
    invariant: 'I13',
    what: 'card numbers in an output, or in a dead letter beside its bytes',
    rows: `SELECT partition, offset FROM outputs WHERE position(value, '${secretNumber}') > 0
      UNION ALL SELECT partition, offset FROM dead_letters WHERE position(value, '${secretNumber}') > 0`,
  },
];

/** Only where there is a sink. */
const sinkCheck: Check = {
  invariant: 'I7',
  what: 'outputs and rows of ClickHouse that are not one to one',
  rows: `SELECT partition, offset, countIf(side = 'output') AS outputs, countIf(side = 'row') AS rows, uniqExact(id, total) AS different FROM (
      SELECT partition, offset, id, total, 'output' AS side FROM answers
      UNION ALL SELECT partition, offset, id, total, 'row' AS side FROM sink_rows
    ) GROUP BY partition, offset HAVING outputs != 1 OR rows != 1 OR different != 1`,
};

const tables: Readonly<Record<string, string>> = {
  input: 'partition Int32, offset Int64, value String',
  outputs: 'partition Int32, offset Int64, value String',
  dead_letters: 'partition Int32, offset Int64, value String',
  seen: 'place Int64, topic String, partition Int32, offset Int64, value String',
  commits: 'at Int64, partition Int32, offset Int64, epoch Int64',
  heads: 'partition Int32, offset Int64, epoch Int64, watermark Float64',
  totals: 'partition Int32, card String, total Float64',
  rows: 'partition Int32, card String, time Float64, amount Float64',
  ids: 'partition Int32, id String, time Float64',
  sink_rows: 'partition Int32, offset Int64, id String, total Float64',
};

/**
 * Holds what is left of a run to the invariants, by SQL over what plain readers found. It knows the job's meaning from `semantics.md`, and nothing
 * of how the product reads, decodes or stores.
 */
export async function violationsOf(url: string, database: string, remains: Remains): Promise<RealViolation[]> {
  const admin = createClient({ url });
  await admin.command({ query: `CREATE DATABASE ${database}` });
  const client = createClient({ url, database });
  try {
    const plain = ({ partition, offset, value }: RawMessage): object => ({
      partition,
      offset,
      value: value.toString(),
    });
    const { state, commits } = remains;
    const rows: Readonly<Record<string, readonly object[]>> = {
      input: remains.input.map(plain),
      outputs: remains.outputs.map(plain),
      dead_letters: remains.deadLetters.map(plain),
      seen: remains.seen.map((message, place) => ({
        ...plain(message),
        place,
        topic: message.topic.endsWith('.dead') ? 'dead letters' : 'outputs',
      })),
      commits: commits.map(({ at, partition, offset, metadata }) => ({
        at,
        partition,
        offset,
        // The client sends the end of a C string with it.
        epoch: (JSON.parse(metadata.replace(/\0$/, '')) as { epoch: number }).epoch,
      })),
      heads: state.heads,
      totals: state.totals,
      rows: state.rows,
      ids: state.ids,
      sink_rows: remains.sinkRows ?? [],
    };
    for (const [table, columns] of Object.entries(tables)) {
      await client.command({ query: `CREATE TABLE ${table} (${columns}) ENGINE = Memory` });
      const values = rows[table] ?? [];
      if (values.length > 0) await client.insert({ table, values, format: 'JSONEachRow' });
    }
    for (const [table, query] of Object.entries({ kept, expected, answers, letters })) {
      await client.command({ query: `CREATE TABLE ${table} ENGINE = Memory AS ${query}` });
    }
    const found: RealViolation[] = [];
    const all = remains.sinkRows === null ? checks : [...checks, sinkCheck];
    for (const { invariant, what, rows: query } of all) {
      const result = await client.query({ query: `${query} LIMIT 3`, format: 'JSONEachRow' });
      const bad = await result.json();
      if (bad.length > 0)
        found.push({ invariant, what: `${what}: ${bad.map((row) => JSON.stringify(row)).join(', ')}` });
    }
    if (remains.logs.includes(secretNumber)) found.push({ invariant: 'I13', what: 'a card number in a log' });
    if (state.bytes.some((bytes) => bytes.includes(secretNumber))) {
      found.push({ invariant: 'I13', what: 'a card number in Redis' });
    }
    return found;
  } finally {
    await admin.command({ query: `DROP DATABASE ${database}` });
    await client.close();
    await admin.close();
  }
}
