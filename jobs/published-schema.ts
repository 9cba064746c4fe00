import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { packageFile } from '../engine/package-file.ts';
import { jsonSchemaOfAvro } from '../engine/serde/avro-json-schema.ts';
import { parseAvroSchema } from '../engine/serde/avro-schema.ts';
import { featureFile } from '../features/feature-declaration.ts';
import { jobFile } from './job-file.ts';
import { sinkFile } from './sink-job.ts';

/** A JSON Schema as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * All JSON Schemas that are published in `schemas/`, by file name: {@link editorSchemas}, and those of messages, made of the Avro schemas beside them. Written by
 * `npm run schemas`.
 */
export function publishedSchemas(): ReadonlyMap<string, JsonSchema> {
  return new Map([
    ...editorSchemas(),
    ...messageNames.map((name) => [`${name}.schema.json`, messageSchema(name)] as const),
  ]);
}

/** The messages whose form is published: what is read, what is written, and what is refused. */
const messageNames = ['transaction', 'prediction', 'dead-letter'] as const;

function messageSchema(name: string): JsonSchema {
  return jsonSchemaOfAvro(parseAvroSchema(readFileSync(packageFile(`schemas/${name}.avsc`), 'utf8')));
}

/**
 * The JSON Schemas that editors complete and check YAML files by, by file name: made of the same zod schemas that `loadJob` and `loadSinkJob` check with, so they say the same of
 * keys, types and words. What needs more than one place (names, expressions) only `sluice validate` checks.
 */
function editorSchemas(): ReadonlyMap<string, JsonSchema> {
  return new Map([
    ['job.schema.json', jsonSchemaOf(jobFile)],
    ['features.schema.json', jsonSchemaOf(featureFile)],
    ['sink.schema.json', jsonSchemaOf(sinkFile)],
  ]);
}

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  // The input's form: durations are text in a file, whatever the checks make of them.
  return { ...z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }) };
}
