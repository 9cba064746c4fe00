import { AvroJson } from '../../engine/serde/avro-json.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { Sink } from '../../engine/sink/sink.ts';

/** A sink that takes JSON as one that takes Avro: for tables and files that follow a topic whose messages are in Avro. */
export function jsonOfAvro(sink: Sink, registry: SchemaRegistry): Sink {
  const avro = new AvroJson(registry);
  return {
    name: sink.name,
    delivery: sink.delivery,
    write: async (messages) => sink.write(await avro.inJson(messages)),
    [Symbol.asyncDispose]: async () => sink[Symbol.asyncDispose](),
  };
}
