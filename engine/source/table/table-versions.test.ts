import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageKey, messageValue, sliceMessages, type MessageBatch } from '../../record/message-batch.ts';
import { TableVersions } from './table-versions.ts';

const table = {
  name: 'limits',
  topic: 'limits',
  partitionCount: 3,
  fields: ['merchant', 'limit', 'updated'],
  key: 'merchant',
  eventTimeField: 'updated',
};

interface Row extends Record<string, unknown> {
  readonly merchant: string | number;
  readonly limit: number | null;
  readonly updated: string;
}

const row = (merchant: string | number, limit: number | null, updated = '2026-01-01T00:00:00.000Z'): Row => ({
  merchant,
  limit,
  updated,
});

function textsOf(messages: MessageBatch | null): readonly (readonly [key: string, value: string])[] {
  if (messages === null) return [];
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  return Array.from(
    { length: messages.messageCount },
    (_, index) => [text(messageKey(messages, index)), text(messageValue(messages, index))] as const,
  );
}

describe('the versions of a table', () => {
  it('are messages for what is new, changed and gone, in the fields of the table', () => {
    const versions = new TableVersions(table);
    const first = versions.changesTo([{ ...row('a', 1), other: 7 }, row('b', null)]);
    expect(textsOf(first.messages)).toEqual([
      ['a', '{"merchant":"a","limit":1,"updated":"2026-01-01T00:00:00.000Z"}'],
      ['b', '{"merchant":"b","limit":null,"updated":"2026-01-01T00:00:00.000Z"}'],
    ]);
    expect(first).toMatchObject({ changed: 2, deleted: 0 });
    first.done();
    const second = versions.changesTo([row('a', 1), row('c', 3)]);
    expect(textsOf(second.messages).map(([key, value]) => [key, value === ''])).toEqual([
      ['c', false],
      ['b', true],
    ]);
    expect(second).toMatchObject({ changed: 1, deleted: 1 });
  });

  it('are none where only the event time is another, so that a query may say now()', () => {
    const versions = new TableVersions(table);
    versions.changesTo([row('a', 1)]).done();
    expect(versions.changesTo([row('a', 1, '2026-02-02T00:00:00.000Z')])).toMatchObject({ messages: null, changed: 0 });
  });

  it('are asked for again where they could not be written', () => {
    const versions = new TableVersions(table);
    versions.changesTo([row('a', 1)]);
    expect(versions.changesTo([row('a', 1)])).toMatchObject({ changed: 1 });
    expect(versions.size).toBe(0);
  });

  it.each<[string, Record<string, unknown>[], string]>([
    ['a field that is not there', [{ merchant: 'a', updated: '' }], 'the field limit; its rows have merchant, updated'],
    ['a key that is null', [row('a', 1), { ...row('b', 1), merchant: null }], 'row 2 has null'],
    ['a key that is empty', [row('', 1)], 'row 1 has something else'],
    ['two rows of one key', [row('a', 1), row('a', 2)], 'row 2 has the key of a row before it'],
  ])('are not made of rows with %s', (_what, rows, words) => {
    const versions = new TableVersions(table);
    let thrown: unknown = null;
    try {
      versions.changesTo(rows);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'TABLE_ROWS_WRONG', fields: { table: 'limits' } });
    expect((thrown as Error).message).toContain(words);
    expect((thrown as Error).message).not.toContain('"a"');
  });

  it('bring a topic to what the table says, whatever it said before, and whoever wrote it', () => {
    const rows = fc
      .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 7), fc.option(fc.integer({ min: 0, max: 2 }))), {
        selector: ([merchant]) => String(merchant),
      })
      .map((all) => all.map(([merchant, limit], at) => row(merchant, limit, `2026-01-0${at + 1}T00:00:00.000Z`)));
    fc.assert(
      fc.property(fc.array(fc.tuple(rows, fc.boolean()), { maxLength: 6 }), (snapshots) => {
        const topic = new Map<string, string>();
        const log: MessageBatch[] = [];
        let versions = new TableVersions(table);
        for (const [snapshot, isNewProcess] of snapshots) {
          if (isNewProcess) {
            versions = new TableVersions(table);
            for (const messages of log) versions.learn(messages);
          }
          const { messages, changed, deleted, done } = versions.changesTo(snapshot);
          const texts = textsOf(messages);
          expect(texts).toHaveLength(changed + deleted);
          const before = new Map(topic);
          for (const [key, value] of texts) {
            if (value === '') topic.delete(key);
            else topic.set(key, value);
          }
          if (messages !== null) log.push(sliceMessages(messages, 0, messages.messageCount));
          done();
          const comparable = (value: string): unknown => ({ ...(JSON.parse(value) as object), updated: '' });
          expect(new Map([...topic].map(([key, value]) => [key, comparable(value)]))).toEqual(
            new Map(snapshot.map((each) => [String(each.merchant), { ...each, updated: '' }])),
          );
          // Nothing is written that was there.
          for (const [key, value] of texts) {
            const old = before.get(key);
            if (value !== '' && old !== undefined) expect(comparable(old)).not.toEqual(comparable(value));
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('takes what is no JSON in the topic for nobody’s row', () => {
    const versions = new TableVersions(table);
    const { messages } = versions.changesTo([row('a', 1)]);
    if (messages === null) throw new Error('there is a message');
    versions.learn({ ...messages, values: { data: new Uint8Array([123]), offsets: Int32Array.of(0, 1) } });
    expect(versions.size).toBe(0);
  });
});
