import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseAvroSchema, resolutionProblem } from '../avro-schema.ts';

/** A small server of Confluent's REST API, for tests. */
export interface ConfluentServer extends AsyncDisposable {
  readonly url: string;
  /** Which requests it answers with 503, as one that is overloaded does; at first none. */
  refuses: (method: string, path: string) => boolean;
  /** How many it did. */
  readonly refused: number;
}

/**
 * Starts a registry as Confluent's behaves, with its codes: ids count up, the same schema has one id, subjects are `BACKWARD` compatible. On a port that the system
 * chooses.
 */
export async function startConfluentServer(): Promise<ConfluentServer> {
  const schemas: string[] = [];
  const subjects = new Map<string, number[]>();
  let refused = 0;
  const answerTo = (method: string, url: string, body: string): readonly [status: number, value: object] => {
    const [, kind, name = '', last = ''] = url.split('/');
    if (method === 'GET' && kind === 'schemas' && name === 'ids') {
      const schema = schemas[Number(last) - 1];
      return schema === undefined
        ? [404, { error_code: 40403, message: `Schema ${last} not found` }]
        : [200, { schema }];
    }
    if (method !== 'POST' || kind !== 'subjects' || last !== 'versions') {
      return [404, { error_code: 404, message: 'HTTP 404 Not Found' }];
    }
    const { schema } = JSON.parse(body) as { schema: string };
    let parsed;
    try {
      parsed = parseAvroSchema(schema);
    } catch {
      return [422, { error_code: 42201, message: 'Input schema is an invalid Avro schema' }];
    }
    const subject = decodeURIComponent(name);
    const versions = subjects.get(subject) ?? [];
    const latest = schemas[(versions.at(-1) ?? 0) - 1];
    if (latest !== undefined && latest !== schema && resolutionProblem(parsed, parseAvroSchema(latest)) !== null) {
      return [409, { error_code: 409, message: 'Schema being registered is incompatible with an earlier schema' }];
    }
    const known = schemas.indexOf(schema);
    const id = known < 0 ? schemas.push(schema) : known + 1;
    subjects.set(subject, [...versions, id]);
    return [200, { id }];
  };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method = '', url = '' } = request;
      const isRefused = registry.refuses(method, url);
      if (isRefused) refused++;
      const [status, value] = isRefused ? [503, { message: 'Service Unavailable' }] : answerTo(method, url, body);
      response
        .writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
        .end(JSON.stringify(value));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const registry: ConfluentServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refuses: () => false,
    get refused() {
      return refused;
    },
    [Symbol.asyncDispose]: async () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return registry;
}
