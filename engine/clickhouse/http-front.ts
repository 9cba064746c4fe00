import { randomUUID, timingSafeEqual } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { StatementFailed, type ChdbEngine } from './chdb-engine.ts';
import { readStatement, type HttpStatement } from './http-request.ts';
import { Slots } from './slots.ts';

/** Formats whose blocks may stand behind each other, so that a result of any size goes out as it is made. */
const streamedFormats = new Set([
  'JSONEachRow',
  'JSONCompactEachRow',
  'JSONStringsEachRow',
  'JSONCompactStringsEachRow',
  'TabSeparated',
  'TabSeparatedRaw',
  'TSV',
  'TSVRaw',
  'CSV',
  'RowBinary',
  'Native',
]);
const notFoundCodes = new Set([60, 81, 36_000]);
const badRequestCodes = new Set([6, 16, 27, 33, 36, 38, 41, 43, 46, 47, 53, 62, 72, 115, 117, 386, 395, 456, 457]);

/** Statements that run at once, and those that may wait for them. */
const defaultConcurrency = 4;
const maxWaiting = 256;

/** What the front must know beside the engine. */
export interface HttpFrontOptions {
  readonly engine: ChdbEngine;
  /** Where inserts' data wait for the engine. */
  readonly spoolDirectory: string;
  readonly username: string;
  readonly password: string;
  /** Given in `/ping`'s answer, so that a caller can tell this server from another that has its port. */
  readonly serverId: string;
  readonly concurrency?: number;
}

/**
 * How long an idle connection is kept: longer than any client's event loop is likely to be busy, or that one would write into a connection
 * that was closed behind its back.
 */
const keepAliveMs = 120_000;

/** ClickHouse's HTTP interface before an engine in this process: as much of it as `@clickhouse/client`, curl and Grafana's data source use. */
export function createHttpFront(options: HttpFrontOptions): Server {
  const slots = new Slots(options.concurrency ?? defaultConcurrency, maxWaiting);
  return createServer({ keepAliveTimeout: keepAliveMs }, (request, response) => {
    void answer(request, response, options, slots).catch((thrown: unknown) => {
      fail(response, thrown);
    });
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpFrontOptions,
  slots: Slots,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  response.setHeader('X-ClickHouse-Server-Display-Name', options.serverId);
  if (url.pathname === '/ping' || url.pathname === '/replicas_status') {
    response.end('Ok.\n');
    return;
  }
  if (url.pathname !== '/') {
    response.writeHead(404).end(`There is no handle ${url.pathname}\n`);
    return;
  }
  const queryId = url.searchParams.get('query_id') ?? randomUUID();
  response.setHeader('X-ClickHouse-Query-Id', queryId);
  response.setHeader('X-ClickHouse-Timezone', 'UTC');
  if (!isAllowed(request, url, options)) {
    throw new StatementFailed(
      'Code: 516. DB::Exception: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)',
    );
  }
  const release = await slots.take();
  if (release === null) {
    throw new StatementFailed(
      'Code: 202. DB::Exception: Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)',
    );
  }
  const spoolPath = join(options.spoolDirectory, randomUUID());
  try {
    const statement = await readStatement(request, url, spoolPath);
    await runStatement(statement, request, response, url, options.engine);
  } finally {
    release();
    await rm(spoolPath, { force: true });
  }
}

async function runStatement(
  statement: HttpStatement,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  engine: ChdbEngine,
): Promise<void> {
  if (statement.isEmptyInsert) {
    response.setHeader('X-ClickHouse-Summary', summary(0, 0, 'written', 0));
    response.end();
    return;
  }
  const format = formatOf(statement);
  response.setHeader('X-ClickHouse-Format', format);
  response.setHeader(
    'Content-Type',
    format.startsWith('JSON') ? 'application/json; charset=UTF-8' : 'text/plain; charset=UTF-8',
  );
  if (isQuery(statement.sql) && streamedFormats.has(format)) {
    const blocks = engine.stream(statement);
    // The first block is awaited before the head goes out: by then most errors have shown themselves, and can have a status of their own.
    const first = await blocks.next();
    await send(response, request, url, Readable.from(startingWith(first, blocks)));
    return;
  }
  const { data, rows, bytes, elapsedMs } = await engine.run(statement);
  response.setHeader('X-ClickHouse-Summary', summary(rows, bytes, statement.isInsert ? 'written' : 'read', elapsedMs));
  await send(response, request, url, Readable.from(data.length === 0 ? [] : [data]));
}

async function* startingWith(
  first: IteratorResult<Uint8Array, unknown>,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}

async function send(response: ServerResponse, request: IncomingMessage, url: URL, body: Readable): Promise<void> {
  const accepts = request.headers['accept-encoding'];
  const wantsGzip =
    url.searchParams.get('enable_http_compression') === '1' && typeof accepts === 'string' && accepts.includes('gzip');
  if (!wantsGzip) {
    await pipeline(body, response as Writable);
    return;
  }
  response.setHeader('Content-Encoding', 'gzip');
  await pipeline(body, createGzip({ level: 1 }), response as Writable);
}

/** An error before the head has a status and ClickHouse's text; after it, the connection ends in mid-body, which clients report. */
function fail(response: ServerResponse, thrown: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const failure =
    thrown instanceof StatementFailed
      ? thrown
      : new StatementFailed(`Code: 1002. DB::Exception: ${String(thrown)} (UNKNOWN_EXCEPTION)`);
  const { clickHouseCode } = failure;
  response.removeHeader('Content-Encoding');
  response.setHeader('X-ClickHouse-Exception-Code', String(clickHouseCode));
  response.writeHead(statusOf(clickHouseCode), { Connection: 'close' }).end(`${failure.message}\n`);
}

function statusOf(clickHouseCode: number): number {
  if (notFoundCodes.has(clickHouseCode)) return 404;
  if (badRequestCodes.has(clickHouseCode)) return 400;
  if (clickHouseCode === 516) return 403;
  if (clickHouseCode === 202) return 503;
  if (clickHouseCode === 48) return 501;
  return 500;
}

function isAllowed(request: IncomingMessage, url: URL, { username, password }: HttpFrontOptions): boolean {
  const { authorization } = request.headers;
  const key = request.headers['x-clickhouse-key'];
  let given = `${url.searchParams.get('user') ?? 'default'}:${url.searchParams.get('password') ?? ''}`;
  if (authorization?.startsWith('Basic ') === true)
    given = Buffer.from(authorization.slice(6), 'base64').toString('utf8');
  else if (typeof key === 'string') given = `${String(request.headers['x-clickhouse-user'] ?? 'default')}:${key}`;
  const expected = Buffer.from(`${username}:${password}`);
  const actual = Buffer.from(given);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** The format that the statement names at its end, or the one for statements that name none. */
function formatOf({ sql, format }: HttpStatement): string {
  return /\bFORMAT\s+([A-Za-z0-9]+)\s*;?\s*$/i.exec(sql)?.[1] ?? format;
}

function isQuery(sql: string): boolean {
  return /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*\(?\s*(?:SELECT|WITH)\b/i.test(sql) && !/\bINTO\s+OUTFILE\b/i.test(sql);
}

function summary(rows: number, bytes: number, kind: 'read' | 'written', elapsedMs: number): string {
  const count = (ofKind: 'read' | 'written', value: number): string => (kind === ofKind ? String(value) : '0');
  return JSON.stringify({
    read_rows: count('read', rows),
    read_bytes: count('read', bytes),
    written_rows: count('written', rows),
    written_bytes: count('written', bytes),
    total_rows_to_read: '0',
    result_rows: String(rows),
    result_bytes: String(bytes),
    elapsed_ns: String(Math.round(elapsedMs * 1e6)),
  });
}
