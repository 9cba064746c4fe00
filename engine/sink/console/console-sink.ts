import type { Writable } from 'node:stream';
import { messageKey, messageValue, type MessageBatch } from '../../record/message-batch.ts';
import type { Sink } from '../sink.ts';

/** What a console sink writes to. */
export interface ConsoleSinkOptions {
  /** Standard output, mostly. Lines are coloured, and cut to its width, only where it is a terminal. */
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number };
}

const decoder = new TextDecoder();
const escape = String.fromCharCode(27);
const ellipsis = '…';

/**
 * One line a message: where it stands, its key, its value. On a terminal the place is dimmed and the line is cut to the window; into a
 * pipe goes the whole value, after a tab, for other programs to read. At least once: what was printed cannot be taken back.
 */
export class ConsoleSink implements Sink {
  readonly name = 'console';
  readonly delivery = 'at-least-once';
  readonly #output: ConsoleSinkOptions['output'];

  constructor({ output }: ConsoleSinkOptions) {
    this.#output = output;
  }

  /** Resolves when the output has taken the lines, so that a reader that is slow slows the follower. */
  write(messages: MessageBatch): Promise<void> {
    const lines: string[] = [];
    for (let index = 0; index < messages.messageCount; index++) lines.push(this.#line(messages, index));
    if (lines.length === 0) return Promise.resolve();
    return new Promise((done, fail) => {
      this.#output.write(`${lines.join('\n')}\n`, (error) => {
        if (error === undefined || error === null) done();
        else fail(error);
      });
    });
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #line(messages: MessageBatch, index: number): string {
    const place = `${messages.topic}/${messages.partitions[index]}/${messages.offsets[index]}`;
    const key = printable(decoder.decode(messageKey(messages, index)));
    const value = printable(decoder.decode(messageValue(messages, index)));
    if (this.#output.isTTY !== true) return `${place}\t${key}\t${value}`;
    const head = key === '' ? place : `${place} ${key}`;
    const room = (this.#output.columns ?? 80) - head.length - 1;
    const cut = value.length <= room ? value : `${value.slice(0, Math.max(0, room - 1))}${ellipsis}`;
    return `${escape}[2m${head}${escape}[22m ${cut}`;
  }
}

/** Bytes that would move the cursor, or end the line, are shown and not sent: a message's text is not the terminal's to obey. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
