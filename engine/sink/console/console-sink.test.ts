import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { messageBatchOf } from '../../storage/message-batch-builder.ts';
import { ConsoleSink } from './console-sink.ts';

async function printed(terminal: { isTTY: boolean; columns?: number }, value: string): Promise<string> {
  let text = '';
  const output = new Writable({
    write(chunk: Buffer, _encoding, done): void {
      text += chunk.toString();
      done();
    },
  });
  await using sink = new ConsoleSink({ output: Object.assign(output, terminal) });
  await sink.write(messageBatchOf('t', [{ value, key: 'k', partition: 1, offset: 17 }]));
  return text;
}

describe('the console sink', () => {
  it('prints place, key and value between tabs when it is read by a program', async () => {
    expect(await printed({ isTTY: false }, '{"a":1}')).toBe('t/1/17\tk\t{"a":1}\n');
  });

  it('dims the place and cuts the line on a terminal', async () => {
    expect(await printed({ isTTY: true, columns: 20 }, '{"amount":123456}')).toBe(
      '\u001B[2mt/1/17 k\u001B[22m {"amount":…\n',
    );
  });

  it('sends nothing to a terminal that it would obey', async () => {
    expect(await printed({ isTTY: false }, 'a\u001B[2Jb\nc')).toBe('t/1/17\tk\ta\\u001b[2Jb\\u000ac\n');
  });

  it('rejects when the output is gone', async () => {
    const output = new Writable({
      write(_chunk, _encoding, done): void {
        done(new Error('EPIPE'));
      },
    });
    output.on('error', () => undefined);
    await using sink = new ConsoleSink({ output });
    await expect(sink.write(messageBatchOf('t', [{ value: 'x' }]))).rejects.toThrow('EPIPE');
    await sink.write(messageBatchOf('t', []));
  });
});
