import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../record/column.ts';
import { messageKey, messageValue } from '../record/message-batch.ts';
import { recordBatch, type RecordBatch } from '../record/record-batch.ts';
import { Schema } from '../record/schema.ts';
import { murmur2 } from '../serde/partitioner.ts';
import { messageBatchOf } from '../storage/message-batch-builder.ts';
import { arrivedSchema } from './arrivals.ts';
import { ExchangeDecoder } from './exchange-decoder.ts';
import { ExchangeEncoder } from './exchange-encoder.ts';
import { passengers } from './exchange-format.ts';

const columns = new Schema([
  { name: 'at', type: 'timestamp', presence: 'required' },
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'device.ip', type: 'string', presence: 'optional' },
  { name: 'terminal', type: 'long', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'fraud', type: 'boolean', presence: 'optional' },
]);
const schema = arrivedSchema(columns);
const partitionCount = 5;

interface Row {
  readonly at: number;
  readonly card: string;
  readonly ip: string | null;
  readonly terminal: number | null;
  readonly amount: number | null;
  readonly fraud: boolean | null;
  readonly partition: number;
  readonly offset: number;
  readonly watermarkMs: number;
  readonly flags: number;
  readonly arrivalMs: number;
}

const whole = fc.maxSafeInteger();
const row: fc.Arbitrary<Row> = fc.record({
  at: fc.integer({ min: -8.64e12, max: 8.64e12 }),
  card: fc.string({ unit: 'grapheme' }),
  ip: fc.option(fc.string({ unit: 'grapheme' })),
  // A log writes -0 as 0; no decoder gives one for a whole number.
  terminal: fc.option(whole.map((value) => value + 0)),
  amount: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
  fraud: fc.option(fc.boolean()),
  partition: fc.nat(300),
  offset: fc.maxSafeNat(),
  watermarkMs: fc.oneof(fc.constant(-Infinity), fc.integer()),
  flags: fc.nat(7),
  arrivalMs: fc.oneof(fc.constant(-1), fc.nat(1e13)),
});

function batchOf(rows: readonly Row[]): RecordBatch {
  const batch = recordBatch(
    schema,
    [
      numberColumnOf(rows.map(({ at }) => at)),
      utf8ColumnOf(rows.map(({ card }) => card)),
      utf8ColumnOf(rows.map(({ ip }) => ip)),
      numberColumnOf(rows.map(({ terminal }) => terminal)),
      numberColumnOf(rows.map(({ amount }) => amount)),
      numberColumnOf(rows.map(({ fraud }) => (fraud === null ? null : Number(fraud)))),
      numberColumnOf(rows.map(({ arrivalMs }) => arrivalMs)),
    ],
    {
      partition: Int32Array.from(rows, ({ partition }) => partition),
      offset: Float64Array.from(rows, ({ offset }) => offset),
      eventTimesMs: Float64Array.from(rows, ({ at }) => at),
    },
  );
  batch.watermarksMs.set(rows.map(({ watermarkMs }) => watermarkMs));
  batch.flags.set(rows.map(({ flags }) => flags));
  return batch;
}

function encoder(): ExchangeEncoder {
  return new ExchangeEncoder({ topic: 'x', partitionCount, key: ['terminal'], schema, columns, writer: 'own' });
}

describe('an exchange', () => {
  it('gives each record as it was put in: its columns to the bit, its position, flags, watermark and arrival', async () => {
    const property = fc.asyncProperty(fc.array(row, { maxLength: 40 }), async (rows) => {
      const sent = batchOf(rows);
      const { messages, failures } = encoder().encode(sent);
      expect(failures).toEqual([]);
      const decoder = new ExchangeDecoder({ columns, eventTimeField: 'at' });
      await decoder.prepare(messages);
      const { records, deadLetters } = decoder.decode(messages);
      expect(deadLetters).toEqual([]);
      const at = (name: string): number => records.schema.indexOf(name);
      expect(records.columns.slice(0, columns.fields.length)).toEqual(
        batchOf(rows).columns.slice(0, columns.fields.length),
      );
      expect(records.columns[at(passengers.inputPartition)]).toEqual(
        numberColumnOf(rows.map(({ partition }) => partition)),
      );
      expect(records.columns[at(passengers.arrival)]).toEqual(numberColumnOf(rows.map(({ arrivalMs }) => arrivalMs)));
      expect(records.partitions).toEqual(sent.partitions);
      expect(records.offsets).toEqual(sent.offsets);
      expect(records.eventTimesMs).toEqual(sent.eventTimesMs);
      expect(records.watermarksMs).toEqual(sent.watermarksMs);
      expect(records.flags).toEqual(sent.flags);
      expect([...messages.timestampsMs]).toEqual(rows.map(({ arrivalMs }) => arrivalMs));
    });
    await fc.assert(property);
  });

  it('puts all records of a key into the partition that Kafka’s own producers would, and those without one by where they came from', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
        const { messages } = encoder().encode(batchOf(rows));
        rows.forEach(({ terminal, partition }, index) => {
          const key = Buffer.from(terminal === null ? '' : String(terminal));
          expect(Buffer.from(messageKey(messages, index))).toEqual(key);
          const byKey = (murmur2(key, 0, key.length) & 0x7fffffff) % partitionCount;
          expect(messages.partitions[index]).toBe(terminal === null ? partition % partitionCount : byKey);
        });
      }),
    );
  });

  it('refuses a record that no log would take, and leaves those around it as they are', () => {
    const sound: Row = {
      at: 1,
      card: 'c',
      ip: null,
      terminal: 1,
      amount: 1,
      fraud: null,
      partition: 0,
      offset: 0,
      watermarkMs: 0,
      flags: 0,
      arrivalMs: 10,
    };
    const large = { ...sound, card: 'c'.repeat(1_000_000) };
    const rows = [sound, large, { ...sound, offset: 2, arrivalMs: 12 }];
    const { messages, failures } = encoder().encode(batchOf(rows));
    expect(failures.map(({ row: at, code }) => [at, code])).toEqual([[1, 'RECORD_TOO_LARGE']]);
    expect([...messages.timestampsMs]).toEqual([10, 12]);
    const alone = encoder().encode(batchOf([sound])).messages;
    expect(messageValue(messages, 0)).toEqual(messageValue(alone, 0));
  });

  it('makes dead letters of messages that are nobody’s, with their bytes', async () => {
    const decoder = new ExchangeDecoder({ columns, eventTimeField: 'at' });
    const messages = messageBatchOf('x', [{ value: 'not of this exchange', partition: 2, offset: 7 }]);
    await decoder.prepare(messages);
    const { records, deadLetters } = decoder.decode(messages);
    expect(records.rowCount).toBe(0);
    expect(deadLetters).toMatchObject([{ topic: 'x', partition: 2, offset: 7, code: 'SCHEMA_ID_MISSING' }]);
  });
});
