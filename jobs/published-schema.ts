import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { packageFile } from '../engine/package-file.ts';
import { jsonSchemaOfAvro } from '../engine/serde/avro-json-schema.ts';
import { parseAvroSchema } from '../engine/serde/avro-schema.ts';
import { featureFile } from '../features/feature-declaration.ts';
import { jobFile } from './job-file.ts';
import { sinkFile } from './sink-job.ts';
import { testFile } from './test-files/test-file.ts';

/** A JSON Schema as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * All JSON Schemas that are published in `schemas/`, by file name: those by which editors check files, and those of messages, made of the Avro schemas beside them. Written by
 * `npm run schemas`.
 */
export function publishedSchemas(): ReadonlyMap<string, JsonSchema> {
  return new Map([
    ...editorSchemas(),
    ...messages.map(([name, instants]) => [`${name}.schema.json`, messageSchema(name, instants)] as const),
  ]);
}

/** The messages whose form is published: what the simulator writes, what jobs write, and what they refuse; and how each writes instants. */
const messages = [
  ['transaction', 'ms'],
  ['prediction', 'iso'],
  ['dead-letter', 'iso'],
] as const;

function messageSchema(name: string, instants: 'iso' | 'ms'): JsonSchema {
  return jsonSchemaOfAvro(parseAvroSchema(readFileSync(packageFile(`schemas/${name}.avsc`), 'utf8')), instants);
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
    ['test.schema.json', jsonSchemaOf(testFile)],
  ]);
}

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  // The input's form: durations are text in a file, whatever the checks make of them.
  return { ...z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }) };
}
