import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { featureVerbs } from '../features/feature-declaration.ts';
import { jobParts } from './job-file.ts';
import { publishedSchemas } from './published-schema.ts';

describe('the JSON Schemas for editors', () => {
  it.each([...publishedSchemas()])('%s is what the checks are made of: npm run schemas', async (name, schema) => {
    const published: unknown = JSON.parse(await readFile(new URL(`../schemas/${name}`, import.meta.url), 'utf8'));
    expect(published).toEqual(JSON.parse(JSON.stringify(schema)));
  });

  it('know every key of a job, and no other', () => {
    const schema = publishedSchemas().get('job.schema.json');
    expect(Object.keys(schema?.['properties'] ?? {})).toEqual(Object.keys(jobParts));
    expect(schema?.['additionalProperties']).toBe(false);
    expect(schema?.['required']).toEqual(['job', 'source', 'features', 'sinks']);
  });

  it('do not offer what is not built', () => {
    const text = JSON.stringify(publishedSchemas().get('job.schema.json'));
    for (const word of ['drop', 'route', 'at-least-once']) expect(text).not.toContain(`"${word}"`);
  });

  it('know every verb of a feature', () => {
    const text = JSON.stringify(publishedSchemas().get('features.schema.json'));
    for (const verb of featureVerbs) expect(text).toContain(`"${verb}":`);
  });
});
