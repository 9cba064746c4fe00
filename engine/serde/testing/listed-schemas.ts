import type { SchemaRegistry } from '../schema-registry.ts';

/** A registry of schemas given beforehand, each under its place in the list; nothing can be registered. For tests of what reads messages. */
export function listedSchemas(...schemas: readonly unknown[]): SchemaRegistry {
  return {
    name: 'a list',
    schemaById: (id) => Promise.resolve(id < schemas.length ? JSON.stringify(schemas[id]) : null),
    register: () => Promise.reject(new Error('nothing is registered here')),
  };
}
