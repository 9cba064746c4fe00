import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { renderDiagnostics } from '../engine/plan/render-diagnostics.ts';
import { AvroEncoder } from '../engine/serde/avro-encoder.ts';
import { parseAvroSchema, schemaOfAvro } from '../engine/serde/avro-schema.ts';
import { encodeDeadLetters } from '../engine/serde/dead-letter-encoder.ts';
import { keyPartitioner } from '../engine/serde/partitioner.ts';
import { modelColumns } from '../features/model-input.ts';
import { scoredSchema } from '../operators/score/score.ts';
import type { CheckedJob } from './checked-job.ts';
import { loadJob } from './load-job.ts';
import { predictionFields } from './runtime/prediction-fields.ts';

const top = new URL('..', import.meta.url);
const yamlIn = (folder: string): string[] => readdirSync(new URL(folder, top)).filter((name) => name.endsWith('.yaml'));
const textOf = (path: string): string => readFileSync(new URL(path, top), 'utf8');
/** Files of `sluice run`; a sink job is `sluice sink`'s, and tests are `sluice test`'s, and named so. */
const jobFiles = yamlIn('jobs/').filter((name) => !name.endsWith('-sink.yaml') && !name.endsWith('.test.yaml'));
const avro = (name: string): ReturnType<typeof parseAvroSchema> => parseAvroSchema(textOf(`schemas/${name}.avsc`));

async function load(name: string): Promise<CheckedJob> {
  const outcome = await loadJob(fileURLToPath(new URL(`jobs/${name}`, top)));
  if (!outcome.ok) throw new RangeError(renderDiagnostics(outcome.diagnostics, outcome.sources));
  return outcome.job;
}

describe('the jobs that are shipped', () => {
  it.each(jobFiles)('%s is sound', async (name) => {
    expect((await load(name)).features.columns.length).toBeGreaterThan(0);
  });

  it('name every file of features', async () => {
    const jobs = await Promise.all(jobFiles.map(load));
    const used = jobs.flatMap(({ features }) => features.features.map(({ file }) => file.split('/').at(-1)));
    expect(new Set(used)).toEqual(new Set(yamlIn('features/')));
  });

  it('tell editors by which schema to check them', () => {
    for (const [folder, schema] of [
      ['jobs', 'job'],
      ['features', 'features'],
    ]) {
      for (const name of yamlIn(`${folder}/`)) {
        const [first] = textOf(`${folder}/${name}`).split('\n');
        const own = name.endsWith('-sink.yaml') ? 'sink' : name.endsWith('.test.yaml') ? 'test' : schema;
        expect(first).toBe(`# yaml-language-server: $schema=../schemas/${own}.schema.json`);
      }
    }
  });

  it("read labels only as known 7 days later, and give none of a record's own to a model", async () => {
    for (const name of jobFiles) {
      const { features } = await load(name);
      const labels = ['is_fraud', 'fraud_scenario', 'TX_FRAUD', 'TX_FRAUD_SCENARIO'];
      for (const feature of features.features) {
        if (!feature.reads.some((read) => labels.includes(read))) continue;
        const delayMs = feature.kind === 'rolling' ? feature.aggregate.delayMs : 0;
        expect({ feature: feature.name, isKnown: delayMs >= 7 * 86_400_000 }).toEqual({
          feature: feature.name,
          isKnown: true,
        });
      }
    }
  });
});

describe('the fraud-scoring job', () => {
  it('reads what its schema says', async () => {
    const { schema, source } = await load('fraud-scoring.yaml');
    expect(schema.fields.map(({ name, type, presence }) => `${name} ${type} ${presence}`)).toEqual([
      'transaction_id string required',
      'event_time timestamp required',
      'card_id string required',
      'terminal_id string required',
      'amount double required',
      'is_fraud boolean optional',
      'fraud_scenario long optional',
    ]);
    expect(source).toMatchObject({ kind: 'topic', topic: 'transactions', duplicates: { by: 'transaction_id' } });
  });

  it('has the features that the published example of a prediction shows', async () => {
    const names = (await load('fraud-scoring.yaml')).features.columns.map(({ name }) => name);
    expect(names).toContain('rolling_avg_7d');
    expect(names).toContain('amount_to_avg_ratio');
    expect(names.length).toBeGreaterThanOrEqual(25);
  });

  it('writes predictions that the schema of predictions can hold, whatever of its features the model is given', async () => {
    const { features } = await load('fraud-scoring.yaml');
    const schema = scoredSchema(features.outputSchema);
    const model = {
      name: 'fraud',
      version: '1',
      digest: 'd',
      featureSetDigest: 'f',
      threshold: 0.5,
      features: modelColumns(features).map(({ name }) => name),
    };
    const fields = predictionFields(schema, model, ['card_id', 'terminal_id']);
    const avroSchema = avro('prediction');
    const options = { schema, fields, topic: 'p', key: ['card_id'], partitioner: keyPartitioner(1), schemaId: 1 };
    expect(() => new AvroEncoder({ ...options, avroSchema })).not.toThrow();
    const leading = avroSchema.record.fields.slice(0, 5).map(({ name }) => name);
    expect(leading).toEqual(['transaction_id', 'amount', 'rolling_avg_7d', 'amount_to_avg_ratio', 'prediction']);
  });
});

describe('the schema of dead letters', () => {
  it('has the fields that they are written with', () => {
    const position = { topic: 't', partition: 0, offset: 0 };
    const letter = { ...position, stage: 'decode', code: 'C', message: 'm', value: null } as const;
    const { values } = encodeDeadLetters('d', [letter], 1);
    const written = JSON.parse(Buffer.from(values.data).toString()) as object;
    const { record } = avro('dead-letter');
    expect(record.fields.map(({ name }) => name)).toEqual(Object.keys(written));
    expect(schemaOfAvro(avro('dead-letter')).field('value')?.presence).toBe('optional');
  });
});
