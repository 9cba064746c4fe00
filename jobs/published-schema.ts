import { z } from 'zod';
import { featureFile } from '../features/feature-declaration.ts';
import { jobFile } from './job-file.ts';
import { sinkFile } from './sink-job.ts';

/** A JSON Schema as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schemas that editors complete and check YAML files by, by file name: made of the same zod schemas that `loadJob` and `loadSinkJob` check with, so they say the same of
 * keys, types and words. What needs more than one place (names, expressions) only `sluice validate` checks. Written to `schemas/` by `npm run schemas`.
 */
export function publishedSchemas(): ReadonlyMap<string, JsonSchema> {
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
