import { appendFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8ColumnOf } from '../../record/column.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { openJsonLinesSink } from './json-lines-sink.ts';

/** Messages of one topic, `[partition, offset, value]` each. */
function messagesOf(topic: string, messages: readonly (readonly [number, number, string])[]): MessageBatch {
  return {
    topic,
    messageCount: messages.length,
    partitions: Int32Array.from(messages, ([partition]) => partition),
    offsets: Float64Array.from(messages, ([, offset]) => offset),
    timestampsMs: new Float64Array(messages.length),
    keys: utf8ColumnOf(messages.map(() => '')),
    values: utf8ColumnOf(messages.map(([, , value]) => value)),
  };
}

describe('openJsonLinesSink', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-json-lines-sink-'));
    path = join(directory, 'out.jsonl');
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });
  const write = async (...chunks: MessageBatch[]): Promise<void> => {
    await using sink = await openJsonLinesSink(path);
    for (const chunk of chunks) await sink.write(chunk);
  };
  const content = (): Promise<string> => readFile(path, 'utf8');

  it('writes each value as a line, after those that are there', async () => {
    await write(
      messagesOf('t', [
        [0, 0, '{"a":1}'],
        [1, 0, '{"b":"é"}'],
      ]),
      messagesOf('t', []),
    );
    await write(messagesOf('t', [[0, 1, '{"c":3}']]));
    expect(await content()).toBe('{"a":1}\n{"b":"é"}\n{"c":3}\n');
  });

  it('keeps a value that was written over several lines on one', async () => {
    await write(
      messagesOf('t', [
        [0, 0, '{\n "a": 1\n}'],
        [0, 1, '2'],
      ]),
    );
    expect(await content()).toBe('{  "a": 1 }\n2\n');
  });

  it('skips what it holds when a chunk comes again, by topic and partition', async () => {
    const chunk = messagesOf('t', [
      [0, 0, '1'],
      [0, 1, '2'],
      [3, 7, '3'],
    ]);
    await write(chunk, chunk);
    await write(
      chunk,
      messagesOf('t', [
        [0, 1, '2'],
        [0, 2, '4'],
        [3, 8, '5'],
      ]),
      messagesOf('other', [[0, 0, '6']]),
    );
    expect(await content()).toBe('1\n2\n3\n4\n5\n6\n');
  });

  it('cuts off what a crash left without a position, and writes it anew', async () => {
    await write(messagesOf('t', [[0, 0, '1']]));
    await appendFile(path, '2\n{"half of a li');
    await write(
      messagesOf('t', [
        [0, 1, '2'],
        [0, 2, '3'],
      ]),
    );
    expect(await content()).toBe('1\n2\n3\n');
  });

  it('does so for its first chunk, too', async () => {
    await write();
    await appendFile(path, '{"half');
    await write(messagesOf('t', [[0, 0, '1']]));
    expect(await content()).toBe('1\n');
  });

  it('holds every message once, whatever comes again after whichever crash', async () => {
    const step = fc.record({
      size: fc.integer({ min: 1, max: 4 }),
      crash: fc.constantFrom('none', 'before position', 'after'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        await rm(path, { force: true });
        await rm(`${path}.position`, { force: true });
        let next = 0;
        for (const { size, crash } of steps) {
          const chunk = messagesOf(
            't',
            Array.from({ length: size }, (_, i) => [0, next + i, String(next + i)] as const),
          );
          // Before the position: the lines are there, in part, and the position is the old one.
          if (crash === 'before position') {
            await write();
            await appendFile(path, `${next}\n${next + 1}`);
          }
          if (crash === 'after') await write(chunk);
          await write(chunk);
          next += size;
        }
        await write();
        expect(await content()).toBe(Array.from({ length: next }, (_, i) => `${i}\n`).join(''));
      }),
      { numRuns: 30 },
    );
  });

  it('leaves alone a file that it has not written, and one that has lost something', async () => {
    await writeFile(path, 'notes of mine\n');
    await expect(openJsonLinesSink(path)).rejects.toMatchObject({ code: 'SINK_FILE_FOREIGN' });
    expect(await content()).toBe('notes of mine\n');
    await rm(path);
    await write(messagesOf('t', [[0, 0, '1']]));
    await writeFile(path, '');
    await expect(openJsonLinesSink(path)).rejects.toThrow('must be as this sink left it, with 2 bytes; got 0 bytes');
  });

  it('refuses a position that is none, and a place where it may not write', async () => {
    await writeFile(`${path}.position`, '{"version":2}');
    await expect(openJsonLinesSink(path)).rejects.toMatchObject({ code: 'SINK_POSITION_INVALID' });
    const nowhere = join(directory, 'no', 'such', 'out.jsonl');
    await expect(openJsonLinesSink(nowhere)).rejects.toMatchObject({
      code: 'FILE_WRITE_FAILED',
      retryable: 'permanent',
      fields: { file: nowhere },
    });
  });

  it.runIf(process.platform === 'linux')(
    'asks to be tried again when the disk is full, and then writes once',
    async () => {
      await using sink = await openJsonLinesSink(path);
      await sink.write(messagesOf('t', [[0, 0, '1']]));
      // The kernel's always-full device, in the place of a file that each write makes.
      await symlink('/dev/full', `${path}.position.partial`);
      const chunk = messagesOf('t', [[0, 1, '2']]);
      await expect(sink.write(chunk)).rejects.toMatchObject({ code: 'FILE_WRITE_FAILED', retryable: 'transient' });
      await expect(sink.write(chunk)).rejects.toThrow('ENOSPC');
      await rm(`${path}.position.partial`);
      await sink.write(chunk);
      expect(await content()).toBe('1\n2\n');
      await write(chunk);
      expect(await content()).toBe('1\n2\n');
    },
  );
});
