import { join } from 'node:path';
import { openSchemaRegistry, type SchemaRegistrySettings } from '../../engine/serde/open-schema-registry.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { Clock } from '../../engine/time/clock.ts';

/** The embedded profile's schema registry: the folder `schemas` of its data directory, made when a schema is first registered. */
export function embeddedRegistrySettings(directory: string): SchemaRegistrySettings {
  return { kind: 'directory', directory: join(directory, 'schemas') };
}

/** Opens the embedded profile's schema registry. */
export function openEmbeddedRegistry(directory: string, clock: Clock): SchemaRegistry {
  return openSchemaRegistry(embeddedRegistrySettings(directory), clock);
}
