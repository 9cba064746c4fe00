import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { publishedSchemas } from '../jobs/published-schema.ts';

/** Writes the JSON Schemas of job files and of messages to `schemas/`, formatted as the rest of the tree: `npm run schemas`, after a change to the form of job or feature files, or to an Avro schema. */
for (const [name, schema] of publishedSchemas()) {
  const file = fileURLToPath(new URL(`../schemas/${name}`, import.meta.url));
  const options = await resolveConfig(file);
  await writeFile(file, await format(JSON.stringify(schema), { ...options, filepath: file }));
  console.log(`schemas/${name}`);
}
