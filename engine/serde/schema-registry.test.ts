import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../time/clock.ts';
import { FileSchemaRegistry } from './file-schema-registry.ts';
import { HttpSchemaRegistry } from './http-schema-registry.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { startConfluentServer } from './testing/confluent-server.ts';

const version = (...names: readonly string[]): string =>
  JSON.stringify({
    type: 'record',
    name: 'R',
    fields: names.map((name) => ({ name, type: 'long', ...(name === 'a' ? {} : { default: 0 }) })),
  });
const incompatible = JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'other', type: 'string' }] });

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-registry-'));
  cleanups.push(async () => rm(directory, { recursive: true }));
  return join(directory, 'schemas');
}

async function listen(
  handle: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<string> {
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => handle(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(
    async () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function confluentServer(): Promise<string> {
  const server = await startConfluentServer();
  cleanups.push(async () => server[Symbol.asyncDispose]());
  return server.url;
}

const http = (url: string, more: object = {}): HttpSchemaRegistry =>
  new HttpSchemaRegistry({ url, timeoutMs: 5000, clock: systemClock, ...more });

/** What every registry must do. */
describe.each<[string, () => Promise<SchemaRegistry>]>([
  ['FileSchemaRegistry', async () => new FileSchemaRegistry(await temporaryDirectory())],
  ['HttpSchemaRegistry', async () => http(await confluentServer())],
])('%s, as a schema registry', (_name, open) => {
  it('gives back by id what was registered', async () => {
    const registry = await open();
    const first = await registry.register('a/b topic-value', version('a'));
    const second = await registry.register('a/b topic-value', version('a', 'b'));
    expect(JSON.parse((await registry.schemaById(first)) ?? '')).toEqual(JSON.parse(version('a')));
    expect(JSON.parse((await registry.schemaById(second)) ?? '')).toEqual(JSON.parse(version('a', 'b')));
    expect(second).not.toBe(first);
  });

  it('gives the same schema of a subject the same id', async () => {
    const registry = await open();
    const first = await registry.register('t-value', version('a'));
    expect(await registry.register('t-value', version('a'))).toBe(first);
  });

  it('has no schema for an id that was never given', async () => {
    const registry = await open();
    expect(await registry.schemaById(12345)).toBeNull();
  });

  it('refuses a schema that cannot read its predecessor, and one that is none', async () => {
    const registry = await open();
    await registry.register('t-value', version('a'));
    await expect(registry.register('t-value', incompatible)).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
      retryable: 'permanent',
    });
    await expect(registry.register('t-value', '{"type":"record"}')).rejects.toMatchObject({
      code: 'AVRO_SCHEMA_INVALID',
    });
    await registry.register('another-value', incompatible);
  });
});

describe('FileSchemaRegistry', () => {
  it('gives different ids to schemas that are registered at the same time', async () => {
    const directory = await temporaryDirectory();
    const ids = await Promise.all(
      Array.from({ length: 12 }, async (_, index) =>
        new FileSchemaRegistry(directory).register(`t${index}-value`, version('a', `f${index}`)),
      ),
    );
    expect(new Set(ids).size).toBe(12);
    expect((await readdir(directory)).filter((file) => !/^\d+\.json$/.test(file))).toEqual([]);
  });

  it('names the file that it cannot read', async () => {
    const directory = await temporaryDirectory();
    const registry = new FileSchemaRegistry(directory);
    const id = await registry.register('t-value', version('a'));
    await writeFile(join(directory, `${id}.json`), '{"id":');
    await expect(registry.schemaById(id)).rejects.toMatchObject({
      code: 'REGISTRY_CORRUPT',
      message: expect.stringContaining(`${id}.json`) as string,
    });
  });
});

describe('HttpSchemaRegistry', () => {
  it('sends credentials, keeps a path in the address, and shows neither in its name', async () => {
    let seen: readonly (string | undefined)[] = [];
    const url = await listen((request, response) => {
      seen = [request.url, request.headers.authorization];
      response.end(JSON.stringify({ schema: version('a') }));
    });
    const registry = http(`${url}/registry/`, { credentials: { username: 'key', password: 'secret' } });
    await registry.schemaById(7);
    expect(seen).toEqual(['/registry/schemas/ids/7', `Basic ${Buffer.from('key:secret').toString('base64')}`]);
    expect(registry.name).not.toMatch(/secret/);
    expect(http('http://me:hidden@localhost:1').name).not.toMatch(/hidden/);
  });

  it.each([
    [500, 'REGISTRY_UNAVAILABLE', 'transient'],
    [503, 'REGISTRY_UNAVAILABLE', 'transient'],
    [429, 'REGISTRY_UNAVAILABLE', 'transient'],
    [401, 'REGISTRY_REFUSED', 'permanent'],
    [403, 'REGISTRY_REFUSED', 'permanent'],
    [404, 'REGISTRY_REFUSED', 'permanent'],
  ])('takes an answer of HTTP %i as %s', async (status, code, retryable) => {
    const url = await listen((_request, response) => response.writeHead(status).end('<html>a proxy</html>'));
    await expect(http(url).schemaById(1)).rejects.toMatchObject({ code, retryable });
    await expect(http(url).register('t-value', version('a'))).rejects.toMatchObject({ code, retryable });
  });

  it('is transient while nobody listens, or nobody answers in time', async () => {
    const url = await listen(() => undefined);
    await expect(http(url, { timeoutMs: 20 }).schemaById(1)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      retryable: 'transient',
      message: expect.stringContaining('no answer within 20 ms') as string,
    });
    for (const cleanup of cleanups.splice(0)) await cleanup();
    await expect(http(url).schemaById(1)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      retryable: 'transient',
    });
  });

  it.each([
    [{ schema: 'syntax = "proto3"', schemaType: 'PROTOBUF' }, 'REGISTRY_SCHEMA_UNSUPPORTED'],
    [{ schema: version('a'), references: [{ name: 'B', subject: 'b', version: 1 }] }, 'REGISTRY_SCHEMA_UNSUPPORTED'],
    [{}, 'REGISTRY_REFUSED'],
  ])('refuses the answer %j as %s', async (answer, code) => {
    const url = await listen((_request, response) => response.end(JSON.stringify(answer)));
    await expect(http(url).schemaById(1)).rejects.toMatchObject({ code });
  });

  it('refuses an address that is none', () => {
    for (const url of ['localhost', 'localhost:8081', '']) {
      expect(() => http(url)).toThrow(expect.objectContaining({ code: 'REGISTRY_REFUSED' }));
    }
  });
});
