import { createWriteStream } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { StatementFailed, type Statement } from './chdb-engine.ts';
import { insertFromFile, splitInlineInsert } from './insert-statement.ts';

/** More SQL than any statement has; data of inserts do not count, they go to a file. */
const maxStatementBytes = 64 * 1024 * 1024;

/** What the HTTP interface of ClickHouse takes in a URL beside settings (its documentation, "HTTP interface"); not the engine's to know. */
const transportNames = new Set([
  'buffer_size',
  'client_protocol_version',
  'compress',
  'database',
  'decompress',
  'default_format',
  'enable_http_compression',
  'http_headers_progress_interval_ms',
  'http_response_buffer_size',
  'http_zlib_compression_level',
  'password',
  'query',
  'query_id',
  'quota_key',
  'role',
  'send_progress_in_http_headers',
  'session_check',
  'session_timeout',
  'user',
  'wait_end_of_query',
]);

/** A request that has been read whole: its statement, and the file that holds an insert's data until it has run. */
export interface HttpStatement extends Statement {
  readonly isInsert: boolean;
  readonly isEmptyInsert: boolean;
}

/**
 * Reads a request as ClickHouse does: the statement in `query=` or in the body or in both, an insert's data behind it.
 *
 * @param spoolPath a file that does not exist yet, for an insert's data; the caller removes it.
 * @throws {StatementFailed} for what the embedded server does not do.
 */
export async function readStatement(request: IncomingMessage, url: URL, spoolPath: string): Promise<HttpStatement> {
  const query = url.searchParams.get('query');
  const insert = query === null ? null : insertFromFile(query, spoolPath);
  if (insert !== null) {
    await pipeline([request, ...decompression(request), createWriteStream(spoolPath, { flags: 'wx' })]);
    const { size } = await stat(spoolPath);
    return { ...statementOf(url, new Map()), sql: insert, isInsert: true, isEmptyInsert: size === 0 };
  }
  const body = await readBody(request);
  const fields = await formFields(request, body);
  const text = fields?.get('query') ?? (body.length === 0 || fields !== null ? '' : body.toString('utf8'));
  const inline = query === null && fields === null ? splitInlineInsert(body) : null;
  if (inline !== null) {
    await writeFile(spoolPath, inline.data, { flag: 'wx' });
    const sql = insertFromFile(inline.sql, spoolPath) ?? inline.sql;
    return { ...statementOf(url, new Map()), sql, isInsert: true, isEmptyInsert: inline.data.length === 0 };
  }
  const sql = query === null ? text : text === '' ? query : `${query}\n${text}`;
  return { ...statementOf(url, fields ?? new Map()), sql, isInsert: /^\s*INSERT\b/i.test(sql), isEmptyInsert: false };
}

function statementOf(url: URL, fields: ReadonlyMap<string, string>): Omit<Statement, 'sql'> {
  const settings = new Map<string, string>();
  const parameters = new Map<string, string>();
  for (const [name, value] of [...url.searchParams, ...fields]) {
    if (name.startsWith('param_')) parameters.set(name.slice(6), value);
    else if (name === 'session_id')
      throw new StatementFailed(
        'Code: 48. DB::Exception: The embedded server has no sessions across requests. (NOT_IMPLEMENTED)',
      );
    else if (!transportNames.has(name)) settings.set(name, value);
  }
  return {
    settings,
    parameters,
    database: url.searchParams.get('database'),
    format: url.searchParams.get('default_format') ?? 'TabSeparated',
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  let stream: Readable = request;
  for (const step of decompression(request)) stream = stream.pipe(step);
  for await (const chunk of stream) {
    const data = Buffer.from(chunk as Uint8Array);
    size += data.length;
    if (size > maxStatementBytes) {
      throw new StatementFailed(
        `Code: 62. DB::Exception: A statement must have at most ${maxStatementBytes} bytes. (SYNTAX_ERROR)`,
      );
    }
    chunks.push(data);
  }
  return Buffer.concat(chunks);
}

function decompression(request: IncomingMessage): Transform[] {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  switch (encoding) {
    case 'identity':
      return [];
    case 'gzip':
      return [createGunzip()];
    case 'deflate':
      return [createInflate()];
    case 'br':
      return [createBrotliDecompress()];
    default:
      throw new StatementFailed(
        `Code: 89. DB::Exception: Unknown content encoding ${encoding}. (UNKNOWN_COMPRESSION_METHOD)`,
      );
  }
}

/** The client's way to send parameters that are too long for a URL. */
async function formFields(request: IncomingMessage, body: Buffer): Promise<ReadonlyMap<string, string> | null> {
  const contentType = request.headers['content-type'];
  if (contentType?.startsWith('multipart/form-data') !== true) return null;
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
  return new Map([...form].map(([name, value]) => [name, typeof value === 'string' ? value : '']));
}
