import { messageOf, SluiceError } from '../error.ts';
import type { Clock } from '../time/clock.ts';
import type { SchemaRegistry } from './schema-registry.ts';

/** How to reach a registry. */
export interface HttpSchemaRegistryOptions {
  /** `http://host:8081`, or with a path before the API's own. */
  readonly url: string;
  /** For basic authentication: a Confluent Cloud API key and its secret, say. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** How long one request may take. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** The registry's own code for an id that it has not (HTTP 404 alone may also be another server's). */
const schemaNotFound = 40403;

/**
 * A registry that speaks Confluent's REST API: Schema Registry itself, Karapace, Apicurio's and Redpanda's compatible endpoints.
 * One request a call, no retries: whoever calls retries what is transient (no answer, 408, 429, 5xx).
 */
export class HttpSchemaRegistry implements SchemaRegistry {
  readonly name: string;
  readonly #base: string;
  readonly #options: HttpSchemaRegistryOptions;

  /** @throws {SluiceError} `REGISTRY_REFUSED` when the address is none. */
  constructor(options: HttpSchemaRegistryOptions) {
    if (!URL.canParse(options.url) || !/^https?:$/.test(new URL(options.url).protocol)) {
      throw new SluiceError(
        'REGISTRY_REFUSED',
        `the schema registry's url must be an address such as http://localhost:8081; got "${options.url}"`,
      );
    }
    const url = new URL(options.url);
    url.username = '';
    url.password = '';
    this.#options = options;
    this.#base = url.href.replace(/\/+$/, '');
    this.name = this.#base;
  }

  async schemaById(id: number, signal?: AbortSignal): Promise<string | null> {
    const answer = await this.#request('GET', `/schemas/ids/${id}`, undefined, signal);
    if (answer.status === 404 && answer.body['error_code'] === schemaNotFound) return null;
    this.#check(answer, `read schema ${id} from`);
    const { schema, schemaType = 'AVRO', references = [] } = answer.body;
    if (typeof schema !== 'string') throw this.#refused(`read schema ${id} from`, 'its answer has no "schema"');
    if (schemaType !== 'AVRO' || (Array.isArray(references) && references.length > 0)) {
      const got = schemaType === 'AVRO' ? 'one with references' : `one of type ${JSON.stringify(schemaType)}`;
      throw new SluiceError('REGISTRY_SCHEMA_UNSUPPORTED', `a schema must be of Avro and in one piece; got ${got}`, {
        fields: { id },
      });
    }
    return schema;
  }

  async register(subject: string, schemaText: string, signal?: AbortSignal): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const verb = `register a schema of "${subject}" in`;
    const answer = await this.#request('POST', path, { schema: schemaText }, signal);
    const why = reasonOf(answer);
    if (answer.status === 409) {
      throw new SluiceError(
        'SCHEMA_INCOMPATIBLE',
        `a new schema of "${subject}" must keep to the subject's compatibility; got a refusal: ${why}`,
        { fields: { subject } },
      );
    }
    if (answer.status === 422) {
      throw new SluiceError(
        'AVRO_SCHEMA_INVALID',
        `the schema of "${subject}" must be valid Avro; got a refusal: ${why}`,
        { fields: { subject } },
      );
    }
    this.#check(answer, verb);
    const id = answer.body['id'];
    if (typeof id !== 'number') throw this.#refused(verb, 'its answer has no "id"');
    return id;
  }

  async #request(method: string, path: string, body: unknown, signal: AbortSignal | undefined): Promise<Answer> {
    const { clock, credentials, timeoutMs } = this.#options;
    const done = new AbortController();
    // One controller for both reasons to stop: Node 20 may collect the signal that AbortSignal.any makes while a fetch still waits.
    const stop = new AbortController();
    const stopWith = (): void => stop.abort(signal?.reason);
    signal?.addEventListener('abort', stopWith, { once: true });
    if (signal?.aborted === true) stopWith();
    const timer = clock
      .sleep(timeoutMs, done.signal)
      .then(() => stop.abort(new Error(`no answer within ${timeoutMs} ms`)));
    try {
      const response = await fetch(`${this.#base}${path}`, {
        method,
        headers: {
          accept: 'application/vnd.schemaregistry.v1+json, application/json',
          'content-type': 'application/vnd.schemaregistry.v1+json',
          ...(credentials === undefined
            ? {}
            : {
                authorization: `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`,
              }),
        },
        signal: stop.signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: objectOf(await response.text()) };
    } catch (thrown) {
      throw this.#unavailable(
        `${method} ${path}`,
        messageOf(thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown),
        thrown,
      );
    } finally {
      signal?.removeEventListener('abort', stopWith);
      done.abort();
      await timer;
    }
  }

  #check({ status, body }: Answer, verb: string): void {
    if (status >= 200 && status < 300) return;
    const why = `HTTP ${status}: ${reasonOf({ status, body })}`;
    if (status === 408 || status === 429 || status >= 500) throw this.#unavailable(verb, why, undefined);
    throw this.#refused(verb, why);
  }

  #unavailable(verb: string, why: string, cause: unknown): SluiceError {
    return new SluiceError(
      'REGISTRY_UNAVAILABLE',
      `could not ${verb} the schema registry at ${this.name}: ${why}; it will be tried again`,
      { retryable: 'transient', cause },
    );
  }

  #refused(verb: string, why: string): SluiceError {
    return new SluiceError(
      'REGISTRY_REFUSED',
      `could not ${verb} the schema registry at ${this.name}: ${why}; check its address and credentials`,
    );
  }
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the registry says of its refusal. */
function reasonOf({ body }: Answer): string {
  return typeof body['message'] === 'string' ? body['message'] : 'no reason given';
}

/** The JSON object in a body, or an empty one: proxies answer with pages. */
function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
