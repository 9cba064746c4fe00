import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Session } from 'chdb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nexmarkEvents } from '../../simulation/nexmark/nexmark-events.ts';
import { AuctionHouse, type Row } from './auction-house.ts';
import { nexmarkQueries, type NexmarkQuery } from './queries.ts';

/** The last quarter of a day and the first of the next one, so that days end within the stream. */
const events = nexmarkEvents({
  events: Number(process.env['SLUICE_NEXMARK_EVENTS'] ?? 20_000),
  startMs: Date.UTC(2026, 0, 1, 23, 45),
});

const tables = [
  ['persons', 'id Int64, name String, city String, state String, dateTime Int64, published Int64'],
  [
    'auctions',
    'id Int64, itemName String, initialBid Int64, reserve Int64, dateTime Int64, expires Int64, seller Int64, category Int64, published Int64',
  ],
  [
    'bids',
    'auction Int64, bidder Int64, price Int64, channel String, url String, extra String, dateTime Int64, published Int64',
  ],
] as const;

let folder = '';
/** Everything in one partition, and keyed over three. */
let whole: AuctionHouse;
let split: AuctionHouse;
let session: Session;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-nexmark-'));
  whole = await AuctionHouse.open(join(folder, 'whole'), events, 1);
  split = await AuctionHouse.open(join(folder, 'split'), events, 3);
  session = new Session();
  for (const [type, [name, columns]] of tables.entries()) {
    session.query(`CREATE OR REPLACE TABLE ${name} (${columns}) ENGINE = Memory`);
    const lines = events.filter(({ event_type }) => event_type === type).map((event) => JSON.stringify(event));
    session.query(
      `INSERT INTO ${name} SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow ${lines.join('\n')}`,
    );
  }
});
afterAll(async () => {
  session.cleanup();
  await whole[Symbol.asyncDispose]();
  await split[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function bySql(sql: string): readonly Row[] {
  const text = session.query(
    `${sql} FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0, prefer_column_name_to_alias = 1`,
  );
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

/** Rows as a multiset of what the columns hold. */
const sorted = (rows: readonly Row[], columns: readonly string[]): readonly string[] =>
  rows.map((row) => JSON.stringify(columns.map((name) => row[name]))).sort();

async function answer(house: AuctionHouse, { jobs, topic }: NexmarkQuery): Promise<readonly Row[]> {
  for (const job of jobs) {
    const { ledger } = await house.run(job);
    expect(ledger).toMatchObject({ late: 0, deadLettered: 0, duplicate: 0 });
  }
  return house.read(topic);
}

describe("Nexmark's queries as jobs", () => {
  it.each(nexmarkQueries)('$name: what SQL gives over the same events', async (query) => {
    const wanted = bySql(query.sql);
    const columns = Object.keys(wanted[0] ?? {});
    expect(wanted.length).toBeGreaterThanOrEqual(query.atLeastRows);
    expect(sorted(await answer(whole, query), columns)).toEqual(sorted(wanted, columns));
  });

  it.each(nexmarkQueries.filter(({ partitions }) => partitions === 'any'))(
    '$name: the same, of topics of three partitions',
    async (query) => {
      const wanted = bySql(query.sql);
      const columns = Object.keys(wanted[0] ?? {});
      expect(sorted(await answer(split, query), columns)).toEqual(sorted(wanted, columns));
    },
  );
});
