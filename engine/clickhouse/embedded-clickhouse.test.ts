import { request } from 'node:http';
import { Readable } from 'node:stream';
import { ClickHouseError } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Program } from '../storage/testing/program.ts';
import { temporaryDirectory } from '../storage/testing/temporary-directory.ts';
import { systemClock } from '../time/clock.ts';
import { createClickHouse } from './create-clickhouse.ts';
import { EmbeddedClickHouse } from './embedded-clickhouse.ts';
import { isListening, readEndpoint } from './endpoint-file.ts';

const holder = new URL('./testing/holding-program.ts', import.meta.url);

describe('the ordinary client on the embedded ClickHouse', () => {
  const directory = temporaryDirectory();
  let clickHouse: EmbeddedClickHouse;

  beforeAll(async () => {
    clickHouse = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
  });

  afterAll(async () => {
    await clickHouse[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  async function rows(query: string, query_params: Record<string, unknown> = {}): Promise<unknown[]> {
    const result = await (await clickHouse.client()).query({ query, query_params, format: 'JSONEachRow' });
    return result.json();
  }

  async function table(name: string, columns: string): Promise<void> {
    await (
      await clickHouse.client()
    ).command({ query: `CREATE TABLE ${name} (${columns}) ENGINE = MergeTree ORDER BY tuple()` });
  }

  it('pings, both ways', async () => {
    const client = await clickHouse.client();
    expect(await client.ping()).toEqual({ success: true });
    expect(await client.ping({ select: true })).toEqual({ success: true });
  });

  it('inserts rows and reads them', async () => {
    await table('simple', 'id UInt32, name String, amount Float64');
    const client = await clickHouse.client();
    const values = [
      { id: 1, name: 'it\'s; \n\n tricky \\ "', amount: 0.1 },
      { id: 2, name: 'Zürich', amount: -3 },
    ];
    const { summary } = await client.insert({ table: 'simple', values, format: 'JSONEachRow' });
    expect(summary?.written_rows).toBe('2');
    expect(await rows('SELECT * FROM simple ORDER BY id')).toEqual(values);
  });

  it('takes inserts of a stream, of nothing, and gzipped', async () => {
    await table('streams', 'n UInt32');
    const client = await clickHouse.client();
    const stream = Readable.from(Array.from({ length: 5_000 }, (_, n) => ({ n })));
    await client.insert({ table: 'streams', values: stream, format: 'JSONEachRow' });
    await client.insert({ table: 'streams', values: [], format: 'JSONEachRow' });
    await client.insert({ table: 'streams', values: Readable.from([]), format: 'JSONEachRow' });
    const zipping = createClickHouse(clickHouse.endpoint, { compression: { request: true, response: true } });
    await zipping.insert({ table: 'streams', values: [{ n: 1 }, { n: 2 }], format: 'JSONEachRow', columns: ['n'] });
    const result = await zipping.query({
      query: 'SELECT count() AS rows, max(n) AS largest FROM streams',
      format: 'JSONEachRow',
    });
    expect(await result.json()).toEqual([{ rows: 5002, largest: 4999 }]);
    await zipping.close();
  });

  it('takes binary rows, whatever bytes they hold', async () => {
    await table('binary', 'a UInt32, b UInt32');
    const client = await clickHouse.client();
    const rowCount = 3_000;
    const data = Buffer.alloc(rowCount * 8);
    // 0x0a0a0a0a is what an engine that looks for the end of the data in the data would stop at.
    for (let row = 0; row < rowCount; row++) {
      data.writeUInt32LE(0x0a0a0a0a, row * 8);
      data.writeUInt32LE(row, row * 8 + 4);
    }
    await client.exec({ query: 'INSERT INTO binary FORMAT RowBinary', values: Readable.from([data]) });
    expect(await rows('SELECT count() AS rows, uniqExact(a) AS a, sum(b) AS b FROM binary')).toEqual([
      { rows: rowCount, a: 1, b: (rowCount * (rowCount - 1)) / 2 },
    ]);
  });

  it('binds parameters of every kind, and runs many statements with other parameters at once', async () => {
    const nasty = "quote ' backslash \\ tab \t newline \n {x:String} 100%";
    expect(
      await rows(
        'SELECT {text:String} AS text, {numbers:Array(UInt8)} AS numbers, {texts:Array(String)} AS texts, {none:Nullable(String)} AS none',
        {
          text: nasty,
          numbers: [1, 2],
          texts: ["a'b", 'c\\d'],
          none: null,
        },
      ),
    ).toEqual([{ text: nasty, numbers: [1, 2], texts: ["a'b", 'c\\d'], none: null }]);
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => rows('SELECT {n:UInt32} AS n, {n:UInt32} * 2 AS twice', { n })),
    );
    expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => [{ n, twice: n * 2 }]));
  });

  it('keeps settings to the statement that they came with', async () => {
    const client = await clickHouse.client();
    const setting = "SELECT getSetting('max_block_size') AS value";
    const [before] = await rows(setting);
    const result = await client.query({
      query: setting,
      format: 'JSONEachRow',
      clickhouse_settings: { max_block_size: '123' },
    });
    expect(await result.json()).toEqual([{ value: 123 }]);
    expect(await rows(setting)).toEqual([before]);
  });

  it('streams a large result', async () => {
    const client = await clickHouse.client();
    const result = await client.query({ query: 'SELECT number FROM numbers(300000)', format: 'JSONEachRow' });
    let count = 0;
    let sum = 0;
    for await (const chunk of result.stream<{ number: number }>()) {
      for (const row of chunk) {
        count += 1;
        sum += row.json().number;
      }
    }
    expect([count, sum]).toEqual([300_000, (300_000 * 299_999) / 2]);
  });

  it('gives results in formats that are one document', async () => {
    const client = await clickHouse.client();
    const result = await client.query({ query: 'SELECT number AS n FROM numbers(200000)', format: 'JSON' });
    const { data, rows: count } = await result.json<{ n: number }>();
    expect([data.length, count]).toEqual([200_000, 200_000]);
    const text = await client.query({ query: 'SELECT 1 AS a, 2 AS b', format: 'CSVWithNames' });
    expect(await text.text()).toBe('"a","b"\n1,2\n');
  });

  it('gives the errors of ClickHouse, with their codes', async () => {
    const client = await clickHouse.client();
    const failing = [
      ['SELECT nothing', 'UNKNOWN_IDENTIFIER', '47'],
      ['SELECT * FROM missing', 'UNKNOWN_TABLE', '60'],
      ['SELEC 1', 'SYNTAX_ERROR', '62'],
      ['SELECT throwIf(number = 3) FROM numbers(5)', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO', '395'],
    ] as const;
    for (const [query, type, code] of failing) {
      const error: unknown = await client.query({ query, format: 'JSONEachRow' }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ClickHouseError);
      expect(error).toMatchObject({ type, code });
    }
    await table('strict', 'n UInt32');
    await expect(client.insert({ table: 'strict', values: [{ n: 'x' }], format: 'JSONEachRow' })).rejects.toMatchObject(
      { type: 'CANNOT_PARSE_INPUT_ASSERTION_FAILED' },
    );
    await expect(client.command({ query: 'SELECT 1', clickhouse_settings: { no_such: '1' } })).rejects.toMatchObject({
      code: '115',
    });
    expect(await rows('SELECT 1 AS still')).toEqual([{ still: 1 }]);
  });

  it('keeps databases apart', async () => {
    const client = await clickHouse.client();
    await client.command({ query: 'CREATE DATABASE other' });
    const other = createClickHouse({ ...clickHouse.endpoint, database: 'other' });
    await other.command({ query: 'CREATE TABLE mine (n UInt8) ENGINE = MergeTree ORDER BY n' });
    await other.insert({ table: 'mine', values: [{ n: 7 }], format: 'JSONEachRow' });
    await other.close();
    expect(await rows('SELECT * FROM other.mine')).toEqual([{ n: 7 }]);
    await expect(rows('SELECT * FROM mine')).rejects.toMatchObject({ type: 'UNKNOWN_TABLE' });
  });

  it('takes plain HTTP, as curl sends it', async () => {
    const { url, username, password } = clickHouse.endpoint;
    const headers = { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
    await table('plain', 'a UInt8, b String');
    const post = async (body: string): Promise<string> => (await fetch(url, { method: 'POST', headers, body })).text();
    expect(await post('INSERT INTO plain FORMAT JSONEachRow\n{"a":1,"b":"x"}\n\n{"a":2,"b":"y;"}\n')).toBe('');
    expect(await post("INSERT INTO plain VALUES (3, 'z')")).toBe('');
    expect(await post('SELECT a, b FROM plain ORDER BY a')).toBe('1\tx\n2\ty;\n3\tz\n');
    const get = await fetch(
      `${url}/?query=${encodeURIComponent('SELECT 1 + 1')}&user=${username}&password=${password}`,
    );
    expect(await get.text()).toBe('2\n');
    expect((await fetch(`${url}/nothing`, { headers })).status).toBe(404);
  });

  it('lets nobody in without the password', async () => {
    const response = await fetch(clickHouse.endpoint.url, { method: 'POST', body: 'SELECT 1' });
    expect([response.status, response.headers.get('X-ClickHouse-Exception-Code')]).toEqual([403, '516']);
    const stranger = createClickHouse({ ...clickHouse.endpoint, password: 'wrong' });
    await expect(stranger.query({ query: 'SELECT 1' })).rejects.toMatchObject({ type: 'AUTHENTICATION_FAILED' });
    await stranger.close();
  });

  it('goes on when a caller goes away in mid-result', async () => {
    const { url, username, password } = clickHouse.endpoint;
    const query = encodeURIComponent(
      'SELECT number, randomPrintableASCII(100) FROM numbers(5000000) FORMAT JSONEachRow',
    );
    await new Promise<void>((done, fail) => {
      const asked = request(`${url}/?query=${query}&user=${username}&password=${password}`, (response) => {
        response.once('data', () => {
          asked.destroy();
          done();
        });
      });
      asked.once('error', fail);
      asked.end();
    });
    expect(await rows('SELECT 1 AS still')).toEqual([{ still: 1 }]);
  });
});

describe('the embedded ClickHouse', () => {
  it('is one server for a directory, shared by whoever opens it next', async () => {
    using directory = temporaryDirectory();
    await using first = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
    await using second = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
    expect([first.role, second.role]).toEqual(['owner', 'guest']);
    expect(second.endpoint).toEqual(first.endpoint);
    await (await first.client()).command({ query: 'CREATE TABLE shared (n UInt8) ENGINE = MergeTree ORDER BY n' });
    const result = await (
      await second.client()
    ).query({ query: 'SELECT count() AS n FROM shared', format: 'JSONEachRow' });
    expect(await result.json()).toEqual([{ n: 0 }]);
  });

  it('is one server even when several open it at the same moment', async () => {
    using directory = temporaryDirectory();
    const opened = await Promise.all(
      [0, 1, 2].map(async () => EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock })),
    );
    expect(opened.filter(({ role }) => role === 'owner')).toHaveLength(1);
    expect(new Set(opened.map(({ endpoint }) => endpoint.url)).size).toBe(1);
    for (const clickHouse of opened) await clickHouse[Symbol.asyncDispose]();
  });

  it('keeps what was inserted when its process is killed, and is there again for the next caller', async () => {
    using directory = temporaryDirectory();
    await using clickHouse = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
    const client = await clickHouse.client();
    await client.command({ query: 'CREATE TABLE kept (n UInt32) ENGINE = MergeTree ORDER BY n' });
    const former = clickHouse.endpoint;
    for (let round = 0; round < 3; round++) {
      await (await clickHouse.client()).insert({ table: 'kept', values: [{ n: round }], format: 'JSONEachRow' });
      const { pid } = clickHouse.endpoint;
      process.kill(pid, 'SIGKILL');
      await gone(pid);
    }
    const result = await (
      await clickHouse.client()
    ).query({ query: 'SELECT n FROM kept ORDER BY n', format: 'JSONEachRow' });
    expect(await result.json()).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
    expect(clickHouse.endpoint.url).toBe(former.url);
  });

  it('ends with the process that started it, however that ends', async () => {
    using directory = temporaryDirectory();
    await using program = Program.start(holder, directory.path);
    const { pid } = JSON.parse(await program.expect('endpoint')) as { pid: number };
    await using guest = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
    expect(guest.role).toBe('guest');
    await program.kill();
    await gone(pid);
    const result = await (await guest.client()).query({ query: 'SELECT * FROM held', format: 'JSONEachRow' });
    expect(await result.json()).toEqual([{ n: 42 }]);
    expect(guest.role).toBe('owner');
  });

  it('takes its endpoint back when it is closed', async () => {
    using directory = temporaryDirectory();
    const clickHouse = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
    const { endpoint } = clickHouse;
    expect(await isListening(endpoint)).toBe(true);
    await clickHouse[Symbol.asyncDispose]();
    expect(await isListening(endpoint)).toBe(false);
    expect(readEndpoint(`${directory.path}/clickhouse`)).toBeNull();
  });
});

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await systemClock.sleep(5);
  }
}
