import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StateWrite } from '../state/state-store.ts';
import { systemClock } from '../time/clock.ts';
import { EmbeddedCommitLog } from './embedded-commit-log.ts';
import { cutIntoParts, decodePart, encodePart } from './state-part.ts';
import { StateTable } from './state-table.ts';
import { Storage } from './storage.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

async function scanned(table: StateTable, operatorId: string): Promise<(readonly [string, string])[]> {
  const entries: (readonly [string, string])[] = [];
  for await (const { key, value } of table.scan(operatorId)) {
    entries.push([Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1')]);
  }
  return entries;
}

const operators = ['card', 'terminal'];
const keyNames = Array.from({ length: 12 }, (_, index) => `k${String.fromCharCode(index * 23)}`);

type Step =
  | {
      readonly kind: 'flush';
      readonly writes: readonly (readonly [operator: number, key: number, value: string | null])[];
    }
  | { readonly kind: 'merge'; readonly maxEntries: number }
  | { readonly kind: 'restart' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('flush' as const),
    writes: fc.uniqueArray(fc.tuple(fc.nat(1), fc.nat(11), fc.option(fc.string({ maxLength: 6 }))), {
      selector: ([operator, key]) => `${operator} ${key}`,
    }),
  }),
  fc.record({ kind: fc.constant('merge' as const), maxEntries: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant('restart' as const) }),
);

describe('keyed state', () => {
  it('is what was flushed last, however it is merged and whenever it is opened anew', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    const { environment } = storage;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const job = `job ${run++}`;
        let table = new StateTable(environment, job);
        table.reload();
        let from = 0;
        const expected = new Map(operators.map((operator) => [operator, new Map<string, string>()]));
        for (const taken of steps) {
          if (taken.kind === 'restart') {
            table = new StateTable(environment, job);
            table.reload();
            from = 0;
          } else if (taken.kind === 'merge') {
            const merged = environment.write('merge', () => table.merge(from, taken.maxEntries));
            merged?.done();
            from = merged?.next ?? 0;
          } else {
            const writes = taken.writes.map(([operator, key, value]): StateWrite => {
              const of = expected.get(operators[operator] ?? '');
              if (value === null) of?.delete(keyNames[key] ?? '');
              else of?.set(keyNames[key] ?? '', value);
              const bytes = value === null ? null : Buffer.from(value, 'utf8');
              return {
                operatorId: operators[operator] ?? '',
                key: Buffer.from(keyNames[key] ?? '', 'latin1'),
                value: bytes,
              };
            });
            // Stored with its commit, or bit by bit after it.
            const flush = environment.write('prepare', () => table.prepare(writes));
            if (writes.length % 2 === 0) {
              const activated = environment.write('store', () => table.storeWhole(flush));
              table.adopt(flush);
              activated();
            } else {
              const parts = table.adopt(flush);
              for (const part of parts)
                environment.write('store a part', () => {
                  table.storePart(part);
                });
              const last = parts.at(-1);
              if (last !== undefined) environment.write('activate', () => table.activate(last))();
            }
          }
        }
        for (const [operator, of] of expected) {
          const entries = [...of].map(([key, value]) => [key, Buffer.from(value, 'utf8').toString('latin1')]);
          expect(await scanned(table, operator)).toEqual(
            entries.toSorted(([a], [b]) => ((a ?? '') < (b ?? '') ? -1 : 1)),
          );
          const values = await table.getMany(
            operator,
            keyNames.map((key) => Buffer.from(key, 'latin1')),
          );
          expect(values.map((value) => (value === null ? null : Buffer.from(value).toString('utf8')))).toEqual(
            keyNames.map((key) => of.get(key) ?? null),
          );
        }
      }),
      { numRuns: 150 },
    );
  });

  it('is laid out in parts that read as they were written', () => {
    const entry = fc.record({
      key: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      value: fc.option(
        fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc.nat(300_000).map((size) => new Uint8Array(size).fill(size)),
        ),
      ),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        const parts = cutIntoParts(entries).map(encodePart);
        const read = parts.flatMap(decodePart);
        expect(read.map(({ key }) => key)).toEqual(entries.map(({ key }) => key));
        expect(read.map(({ value }) => (value === null ? null : Buffer.from(value).toString('base64')))).toEqual(
          entries.map(({ value }) => (value === null ? null : Buffer.from(value).toString('base64'))),
        );
        for (const part of parts) expect(part.length).toBeLessThan(1024 * 1024);
      }),
      { numRuns: 60 },
    );
  });

  it('of a flush that was not whole in the store when its owner died is as of the flush before', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    const { environment } = storage;
    const table = new StateTable(environment, 'job');
    table.reload();
    const write = (value: string): StateWrite => ({
      operatorId: 'card',
      key: Buffer.from('k'),
      value: Buffer.from(value),
    });
    const first = environment.write('store', () => {
      const flush = table.prepare([write('first')]);
      return { flush, activated: table.storeWhole(flush) };
    });
    table.adopt(first.flush);
    first.activated();
    const parts = table.adopt(environment.write('prepare', () => table.prepare([write('second')])));
    environment.write('store a part', () => {
      for (const part of parts) table.storePart(part);
    });
    expect(await scanned(table, 'card')).toEqual([['k', 'second']]);
    const next = new StateTable(environment, 'job');
    next.reload();
    expect(await scanned(next, 'card')).toEqual([['k', 'first']]);
    environment.write('drop', () => {
      next.dropInactive();
    });
    expect([...environment.stateJournal.getKeys({ start: ['job', 1], end: ['job', 9] })]).toEqual([]);
  });

  it('does not wait in memory without bound: commits wait for the merging', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    const journalBytes = 50_000;
    await using log = new EmbeddedCommitLog({
      storage,
      job: 'job',
      jobDigest: 'd',
      inputTopic: null,
      stateJournalBytes: journalBytes,
    });
    await log.acquire();
    const flushBytes = 40 * 1_100;
    for (let sequence = 0; sequence < 60; sequence++) {
      const writes = Array.from({ length: 40 }, (_, index) => ({
        operatorId: 'card',
        key: Buffer.from(`card ${(sequence * 37 + index) % 500}`),
        value: Buffer.alloc(1_000, sequence),
      }));
      await log.commit({
        ranges: [{ partition: 0, from: sequence, to: sequence + 1 }],
        metadata: { batchSequence: sequence, watermarksMs: [], jobDigest: 'd', modelDigest: '' },
        outputs: [],
        state: { writes },
      });
      const journal = [...storage.environment.stateJournal.getRange({})].reduce(
        (sum, { value }) => sum + value.length,
        0,
      );
      expect(journal).toBeLessThan(journalBytes * 4 + flushBytes * 2);
    }
  });
});
