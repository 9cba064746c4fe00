import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../record/column.ts';
import { IDLE, MARK, recordBatch, type RecordBatch } from '../record/record-batch.ts';
import { Schema } from '../record/schema.ts';
import { arrivedSchema } from './arrivals.ts';
import { ExchangeDecoder } from './exchange-decoder.ts';
import { ExchangeMarks, markedSchema, withoutMarks } from './exchange-marks.ts';
import { passengers } from './exchange-format.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'required' },
]);
const columns = markedSchema(schema, 'at');

function batch(timesMs: readonly number[]): RecordBatch {
  const all = [utf8ColumnOf(timesMs.map(() => 'c')), numberColumnOf(timesMs), numberColumnOf(timesMs.map(() => 77))];
  const origin = { partition: 3, offset: 10, eventTimesMs: Float64Array.from(timesMs) };
  return recordBatch(arrivedSchema(schema), all, origin);
}

const asTheyAre = (records: RecordBatch): RecordBatch => records;

function marks(): ExchangeMarks {
  const kept = [passengers.arrival];
  const options = { topic: 'x', partitionCount: 3, schema: arrivedSchema(schema), columns, writer: 'own' } as const;
  return new ExchangeMarks({ ...options, kept, eventTimeField: 'at', delayMs: 100 });
}

describe('the marks of an exchange', () => {
  it('tell every partition how far their writer has come, and nothing of its records', async () => {
    const writer = marks();
    const records = batch([5_000, 9_000, 7_000]);
    const written = writer.write(records, writer.passedMs(records), asTheyAre);
    expect(written.map(({ partitions }) => [...partitions])).toEqual([[0], [1], [2]]);
    const decoder = new ExchangeDecoder({ columns, eventTimeField: 'at' });
    for (const messages of written) {
      await decoder.prepare(messages);
      const { records: found, deadLetters } = decoder.decode(messages);
      expect(deadLetters).toEqual([]);
      expect([[...found.partitions], [...found.watermarksMs], [...found.flags]]).toEqual([[3], [8_900], [MARK]]);
      expect(found.columns[0]?.valid).toEqual(Uint8Array.of(0));
      expect([...messages.timestampsMs]).toEqual([77]);
      expect(withoutMarks(found).rowCount).toBe(0);
    }
  });

  it('are sent where the watermark has moved on by a fifth of a second, and not for every record', () => {
    const writer = marks();
    const sent = [1_000, 1_050, 1_199, 1_200, 1_100, 1_400].map((timeMs) => {
      const records = batch([timeMs]);
      return writer.write(records, writer.passedMs(records), asTheyAre).length;
    });
    expect(sent).toEqual([3, 0, 0, 3, 0, 3]);
    expect(writer.write(batch([]), writer.passedMs(batch([])), asTheyAre)).toEqual([]);
  });

  it('say of an idle writer how far it is, had it records or not, and are followed by others as soon as it is back', async () => {
    const writer = marks();
    const sent = (timeMs: number): number => {
      const records = batch([timeMs]);
      return writer.write(records, writer.passedMs(records), asTheyAre).length;
    };
    expect(sent(1_000)).toBe(3);
    const decoder = new ExchangeDecoder({ columns, eventTimeField: 'at' });
    for (const watermarkMs of [-Infinity, 900, 31_000]) {
      const written = writer.idle([{ partition: 3, offset: 10, watermarkMs }], asTheyAre);
      expect(written.map(({ partitions }) => [...partitions])).toEqual([[0], [1], [2]]);
      for (const messages of written) {
        await decoder.prepare(messages);
        const { records: found, deadLetters } = decoder.decode(messages);
        expect(deadLetters).toEqual([]);
        expect([[...found.watermarksMs], [...found.flags]]).toEqual([[watermarkMs], [MARK | IDLE]]);
        expect([[...found.partitions], [...found.offsets]]).toEqual([[3], [10]]);
      }
    }
    expect([sent(1_001), sent(1_002)]).toEqual([3, 0]);
  });
});
