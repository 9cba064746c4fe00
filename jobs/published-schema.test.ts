import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf, type Column } from '../engine/record/column.ts';
import type { DeadLetter } from '../engine/record/dead-letter.ts';
import type { MessageBatch } from '../engine/record/message-batch.ts';
import { recordBatch } from '../engine/record/record-batch.ts';
import { parseAvroSchema, schemaOfAvro } from '../engine/serde/avro-schema.ts';
import { encodeDeadLetters } from '../engine/serde/dead-letter-encoder.ts';
import { JsonDecoder } from '../engine/serde/json-decoder.ts';
import { readJsonSchema } from '../engine/serde/json-schema.ts';
import { featureVerbs } from '../features/feature-declaration.ts';
import { jobParts } from './job-file.ts';
import { scoredSchema } from '../operators/score/score.ts';
import { loadJob } from './load-job.ts';
import { publishedSchemas } from './published-schema.ts';
import { explainedSchema } from './runtime/explain-alerts.ts';
import { openEncoder } from './runtime/open-outputs.ts';

describe('the JSON Schemas that are published', () => {
  it.each([...publishedSchemas()])('%s is what the checks are made of: npm run schemas', async (name, schema) => {
    const published: unknown = JSON.parse(await readFile(new URL(`../schemas/${name}`, import.meta.url), 'utf8'));
    expect(published).toEqual(JSON.parse(JSON.stringify(schema)));
  });

  it('know every key of a job, and no other', () => {
    const schema = publishedSchemas().get('job.schema.json');
    expect(Object.keys(schema?.['properties'] ?? {})).toEqual(Object.keys(jobParts));
    expect(schema?.['additionalProperties']).toBe(false);
    expect(schema?.['required']).toEqual(['job', 'features', 'sinks']);
    expect(schema?.['oneOf']).toEqual([{ required: ['source'] }, { required: ['sources'] }]);
  });

  it('do not offer what is not built', () => {
    const text = JSON.stringify(publishedSchemas().get('job.schema.json'));
    for (const word of ['at-least-once']) expect(text).not.toContain(`"${word}"`);
  });

  it('know every verb of a feature', () => {
    const text = JSON.stringify(publishedSchemas().get('features.schema.json'));
    for (const verb of featureVerbs) expect(text).toContain(`"${verb}":`);
  });

  it('say the same of transactions as the Avro schema', () => {
    const records = readJsonSchema(publishedSchemas().get('transaction.schema.json'));
    const avro = parseAvroSchema(readFileSync(new URL('../schemas/transaction.avsc', import.meta.url), 'utf8'));
    expect('schema' in records ? records.schema.fields : records.problems).toEqual(schemaOfAvro(avro).fields);
  });

  it('hold for predictions and dead letters as they are written', async () => {
    for (const [name, eventTimeField, keyFields, messages] of [
      ['prediction', 'event_time', ['card_id'], await predictions()],
      ['dead-letter', 'at', ['topic'], encodeDeadLetters('dead', [deadLetter], 1)],
    ] as const) {
      const schema = structuredClone(publishedSchemas().get(`${name}.schema.json`)) as {
        properties: Record<string, unknown>;
        additionalProperties?: boolean;
      };
      // A decoder reads no lists, and needs an event time.
      schema.additionalProperties = false;
      if (name === 'prediction') schema.properties['reasons'] = true;
      else schema.properties['at'] = { type: 'string', format: 'date-time' };
      const records = readJsonSchema(schema);
      if ('problems' in records) throw new RangeError(JSON.stringify(records.problems));
      const decoder = new JsonDecoder({ ...records, eventTimeField, keyFields });
      const { deadLetters } = decoder.decode(messages);
      // A dead letter has no event time, and that is all that is wrong with it.
      expect(deadLetters.map(({ code, message }) => `${code} ${message}`)).toEqual(
        name === 'prediction' ? [] : ['FIELD_MISSING field "at" must be present; got a record without it'],
      );
    }
  });
});

const deadLetter: DeadLetter = {
  topic: 'transactions',
  partition: 0,
  offset: 7,
  stage: 'decode',
  code: 'JSON_MALFORMED',
  message: 'must be JSON',
  value: Buffer.from('{'),
};

/** A prediction of the shipped job with every feature null, as its encoder writes it. */
async function predictions(): Promise<MessageBatch> {
  const outcome = await loadJob(fileURLToPath(new URL('fraud-scoring.yaml', import.meta.url)));
  if (!outcome.ok) throw new RangeError('the job must be sound');
  const { job } = outcome;
  const features = job.features.columns.map(({ name }) => name);
  const model = { name: 'fraud', version: '1', digest: 'd', featureSetDigest: 'f', threshold: 0.5, features };
  const registry = { name: 'none', schemaById: fail, register: fail };
  const encoder = await openEncoder(job, model, { topic: 'p', format: 'json' }, 1, registry);
  const schema = explainedSchema(scoredSchema(job.features.outputSchema));
  const columns = schema.fields.map(({ name, type, presence }): Column => {
    const isNull = presence === 'optional' || features.includes(name);
    if (type === 'string') return utf8ColumnOf([isNull ? null : name === 'reasons' ? '["amount"]' : 'x']);
    return numberColumnOf([isNull ? null : 1]);
  });
  const origin = { partition: Int32Array.of(0), offset: Float64Array.of(0), eventTimesMs: Float64Array.of(1_000) };
  const { messages, failures } = encoder.encode(recordBatch(schema, columns, origin));
  expect(failures).toEqual([]);
  return messages;
}

function fail(): never {
  throw new RangeError('JSON needs no registry');
}
