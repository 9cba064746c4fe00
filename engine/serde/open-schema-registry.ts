import type { Clock } from '../time/clock.ts';
import { FileSchemaRegistry } from './file-schema-registry.ts';
import { HttpSchemaRegistry } from './http-schema-registry.ts';
import type { SchemaRegistry } from './schema-registry.ts';

/** Where a profile keeps writers' schemas: the embedded one in a directory of its own, the cluster's behind Confluent's REST API. */
export type SchemaRegistrySettings =
  | { readonly kind: 'directory'; readonly directory: string }
  | {
      readonly kind: 'http';
      /** `http://host:8081`. */
      readonly url: string;
      readonly credentials?: { readonly username: string; readonly password: string };
      /** Of one request; default 10 s. */
      readonly timeoutMs?: number;
    };

const defaultTimeoutMs = 10_000;

/**
 * Opens the registry that a profile is set up with. Called once when a run is opened; nothing is asked of the registry yet.
 *
 * @throws {SluiceError} `REGISTRY_REFUSED` when the address is none.
 */
export function openSchemaRegistry(settings: SchemaRegistrySettings, clock: Clock): SchemaRegistry {
  if (settings.kind === 'directory') return new FileSchemaRegistry(settings.directory);
  const { url, credentials, timeoutMs = defaultTimeoutMs } = settings;
  return new HttpSchemaRegistry({ url, timeoutMs, clock, ...(credentials === undefined ? {} : { credentials }) });
}
