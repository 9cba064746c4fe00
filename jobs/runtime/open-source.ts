import { strict as assert } from 'node:assert';
import { ArrivalDecoder } from '../../engine/exchange/arrivals.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { openCsvSource } from '../../engine/source/file/csv-source.ts';
import { openJsonLinesSource } from '../../engine/source/file/json-lines-source.ts';
import { openParquetSource } from '../../engine/source/file/parquet-source.ts';
import { AvroDecoder } from '../../engine/serde/avro-decoder.ts';
import { parseAvroSchema } from '../../engine/serde/avro-schema.ts';
import type { Decoder, DecoderOptions } from '../../engine/serde/decoder.ts';
import { JsonDecoder } from '../../engine/serde/json-decoder.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { Source } from '../../engine/source/source.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { SlabPool } from '../../engine/record/slab-pool.ts';
import type { CheckedJob, FileOrigin, SourceCommon } from '../checked-job.ts';

/** What a job reads, or one of its inputs: the records' fields, and how they are written. */
export interface ReadRecords {
  readonly schema: Schema;
  readonly source: SourceCommon;
  /** Of a job that amends its decisions: it must know when the log took its records. */
  readonly amendments?: CheckedJob['amendments'];
}

/** Opens a file as the records of a job. @throws {SluiceError} what the file sources throw: a missing or broken file, columns that do not fit. */
export function openFileSource({ schema, source }: ReadRecords, { kind, path }: FileOrigin): Promise<Source> {
  const options = { path, schema, eventTimeField: source.eventTime.field, keyFields: [source.key] };
  switch (kind) {
    case 'parquet':
      return openParquetSource(options);
    case 'csv':
      return openCsvSource(options);
    case 'jsonl':
      return openJsonLinesSource({ ...options, rules: source.rules });
  }
}

/** The kind of file that a path names, by its ending; JSON lines where it says nothing. */
export function fileKind(path: string): FileOrigin['kind'] {
  if (path.endsWith('.parquet')) return 'parquet';
  return path.endsWith('.csv') ? 'csv' : 'jsonl';
}

/** A topic of the embedded log as a source. @param slabs where the memory of what is read is from, for a reader that gives it back. @throws {SluiceError} `TOPIC_MISSING`. */
export function openTopicSource(storage: Storage, topic: string, slabs: SlabPool | null = null): Source {
  return new EmbeddedTopicSource(storage, topic, slabs);
}

/**
 * What decodes the messages of a topic that the job reads.
 *
 * Of a job that amends its decisions it adds to each record when the log took it.
 *
 * @param registry where the schemas are that messages in Avro name by their ids; not asked for messages in JSON.
 */
export function openDecoder(read: ReadRecords, registry: SchemaRegistry): Decoder {
  const { schema, amendments = null } = read;
  const decoder = openPlainDecoder(read, registry);
  return amendments === null ? decoder : new ArrivalDecoder(decoder, schema);
}

function openPlainDecoder({ schema, source }: ReadRecords, registry: SchemaRegistry): Decoder {
  const options: DecoderOptions = { schema, eventTimeField: source.eventTime.field, keyFields: [source.key] };
  if (source.format === 'json') return new JsonDecoder({ ...options, rules: source.rules });
  assert(source.avro !== null, 'a source in Avro has a schema in Avro');
  return new AvroDecoder({ ...options, readerSchema: parseAvroSchema(source.avro), registry });
}
