import { describe, expect, it } from 'vitest';
import { changed, jobOf, loadFiles, problemsOf, type Change } from '../testing/job-folder.ts';

const job = 'jobs/job.yaml';

describe('a job', () => {
  it('reads and writes Avro where it says so', async () => {
    const { source, sinks, deadLetters } = await jobOf(
      [job, 'schema: payment', 'schema: payment\n  format: avro'],
      [job, 'partitions: 3', 'format: avro'],
      [job, '{ topic: bad }', '{ topic: bad, format: avro }'],
    );
    expect(source).toMatchObject({ kind: 'topic', format: 'avro' });
    expect(sinks[0]).toEqual({ kind: 'topic', topic: 'scores', format: 'avro', partitions: null });
    expect(deadLetters).toEqual({ policy: 'dead-letter', topic: 'bad', format: 'avro' });
  });

  it('may name a JSON Schema, whose rules are part of its digest', async () => {
    const named: Change = [job, 'schema: payment', 'schema: ../schemas/payment.schema.json'];
    const files = (amount: object): Record<string, string> => ({
      ...changed(named),
      'schemas/payment.schema.json': JSON.stringify({
        type: 'object',
        properties: {
          id: { type: 'string' },
          at: { type: 'string', format: 'date-time' },
          card: { type: 'string' },
          terminal: { type: 'string' },
          amount,
          fraud: { type: ['boolean', 'null'] },
        },
        required: ['id', 'at', 'card', 'terminal', 'amount'],
      }),
    });
    const plain = await loadFiles(files({ type: 'number' }));
    const positive = await loadFiles(files({ type: 'number', minimum: 0 }));
    if (!plain.ok || !positive.ok) throw new RangeError('the job must be sound');
    expect(positive.job.schema.fields).toEqual((await jobOf()).schema.fields);
    expect(positive.job.source.rules?.fields[4]).toMatchObject({
      field: 'amount',
      values: [{ rule: 'minimum', than: 0 }],
    });
    expect(positive.job.digest).not.toBe(plain.job.digest);
    const wrong = await loadFiles(files({ type: 'number', multipleOf: 2 }));
    expect(wrong.ok ? [] : wrong.diagnostics).toMatchObject([
      { file: 'schemas/payment.schema.json', code: 'SCHEMA_INVALID', message: '"multipleOf" is not enforced here' },
    ]);
  });

  it.each([
    ['parquet: payments.parquet', 'a JSON Schema says what JSON is, and this source is a parquet'],
    ['topic: payments\n  format: avro', 'messages in Avro are read as an Avro schema says'],
  ])('cannot read %s by a JSON Schema', async (origin, message) => {
    const found = await problemsOf(
      [job, 'topic: payments', origin],
      [job, 'schema: payment', 'schema: ../schemas/payment.json'],
    );
    expect(found.map((problem) => problem.message)).toContain(message);
  });
});
