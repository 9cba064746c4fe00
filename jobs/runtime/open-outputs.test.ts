import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { parseAvroSchema, resolutionProblem, schemaOfAvro } from '../../engine/serde/avro-schema.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../checked-job.ts';
import { loadJob } from '../load-job.ts';
import { jobOf, type Change } from '../testing/job-folder.ts';
import { openEmbeddedRegistry } from './embedded-registry.ts';
import { openLateEncoder } from './open-late-encoder.ts';
import { openDeadLetterEncoder, openEncoder } from './open-outputs.ts';
import type { PredictionModel } from './prediction-fields.ts';

const published = (name: string): Promise<string> =>
  readFile(new URL(`../../schemas/${name}.avsc`, import.meta.url), 'utf8');

function withoutDocs(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema, (key, value: unknown) => (key === 'doc' ? undefined : value)));
}

function modelOf(job: CheckedJob): PredictionModel {
  const features = job.features.columns.map(({ name }) => name);
  return { name: 'fraud', version: '1', digest: 'd', featureSetDigest: 'f', threshold: 0.5, features };
}

describe('the Avro schema of what a job writes', () => {
  let directory = '';
  let registry: SchemaRegistry;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-outputs-'));
    registry = openEmbeddedRegistry(directory, systemClock);
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  const open = async (job: CheckedJob, model: PredictionModel | null): Promise<unknown> =>
    openEncoder(job, model, { topic: 'answers', format: 'avro' }, 1, registry);
  const registered = async (id: number): Promise<string> => (await registry.schemaById(id)) ?? '';

  it('is the published one, for the job that is shipped and a model of all its features', async () => {
    const outcome = await loadJob(fileURLToPath(new URL('../fraud-scoring.yaml', import.meta.url)));
    if (!outcome.ok) throw new RangeError('the job must be sound');
    await open(outcome.job, modelOf(outcome.job));
    expect(withoutDocs(JSON.parse(await registered(1)))).toEqual(
      withoutDocs(JSON.parse(await published('prediction'))),
    );
  });

  it('is the published one for dead letters', async () => {
    const avroLetters: Change = ['jobs/job.yaml', '{ topic: bad }', '{ topic: bad, format: avro }'];
    expect(await openDeadLetterEncoder(await jobOf(avroLetters), 1, registry)).not.toBeNull();
    expect(withoutDocs(JSON.parse(await registered(1)))).toEqual(
      withoutDocs(JSON.parse(await published('dead-letter'))),
    );
  });

  it('reads what it wrote before, and is read by what read it before, when features come and go', async () => {
    const unscored: Change = ['jobs/job.yaml', 'score: { model: fraud@champion, threshold: 0.5 }\n', ''];
    const first = await jobOf(unscored);
    await open(first, null);
    await open(
      await jobOf(unscored, ['features/card.yaml', '  count_1h: { count: true, over: 1h, current: include }\n', '']),
      null,
    );
    await open(
      await jobOf(unscored, [
        'features/card.yaml',
        'features:\n',
        'features:\n  last_amount: { last: amount, over: 1d }\n',
      ]),
      null,
    );
    const versions = await Promise.all([1, 2, 3].map(async (id) => parseAvroSchema(await registered(id))));
    for (const reader of versions) {
      for (const writer of versions) expect(resolutionProblem(reader, writer)).toBeNull();
    }
  });

  it('is refused before anything is read, where readers of the topic could not read it', async () => {
    const unscored: Change = ['jobs/job.yaml', 'score: { model: fraud@champion, threshold: 0.5 }\n', ''];
    await open(await jobOf(unscored), null);
    const asText: Change = ['schemas/payment.avsc', '"amount","type":"double"', '"amount","type":"string"'];
    const noFeatures: Change = ['jobs/job.yaml', 'features: [card, terminal]', 'features: none'];
    await expect(open(await jobOf(unscored, asText, noFeatures), null)).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
      retryable: 'permanent',
      message: expect.stringMatching(
        /a new schema of "answers-value" must read what the last one \(id 1\) wrote/,
      ) as string,
    });
  });

  it('of late records has the fields that they came with, so that they can be sent again', async () => {
    const { schema } = await jobOf();
    const encoder = await openLateEncoder({ schema, key: 'card', topic: 'late', format: 'avro' }, 1, registry);
    const late = parseAvroSchema(await registered(1));
    expect(schemaOfAvro(late).fields.slice(0, schema.fields.length)).toEqual(schema.fields);
    expect(encoder.encode(emptyBatch(schema)).messages.messageCount).toBe(0);
  });
});

function emptyBatch(schema: Schema): RecordBatch {
  const columns = schema.fields.map(({ type }) => (type === 'string' ? utf8ColumnOf([]) : numberColumnOf([])));
  const origin = { partition: new Int32Array(0), offset: new Float64Array(0), eventTimesMs: new Float64Array(0) };
  return recordBatch(schema, columns, origin);
}
