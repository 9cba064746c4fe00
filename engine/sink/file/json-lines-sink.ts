import { constants } from 'node:fs';
import { open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SluiceError, messageOf } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import type { Sink } from '../sink.ts';
import { advanced, emptyPosition, nextOffset, parsePosition, type SinkPosition } from './sink-position.ts';

const lineFeed = 0x0a;
const space = 0x20;

/**
 * Opens a sink that appends each message's value, which must be JSON, as a line to a file. Called when a follower starts.
 *
 * Each message is in the file once, whatever crashes on the way: beside the file, in `<path>.position`, stands how long it is and which
 * offsets it holds. A chunk is written and flushed first, its position after; lines beyond the position (a chunk whose position was not written any more) are
 * cut off here, and messages below it are skipped when they come again. A reader that follows the file may therefore see the last lines
 * vanish and come back after a crash, the same ones.
 *
 * @throws {SluiceError} (by rejection) `FILE_WRITE_FAILED` when the file cannot be opened or written; `SINK_FILE_FOREIGN` when a file stands there that no sink has
 * written, or that has become shorter since; `SINK_POSITION_INVALID`.
 */
export async function openJsonLinesSink(path: string): Promise<Sink> {
  const positionPath = `${path}.position`;
  const stored = await readPosition(positionPath);
  const position = stored ?? emptyPosition;
  const openFile = (): Promise<FileHandle> => open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  const handle = await writing(path, 'permanent', openFile);
  try {
    const { size } = await handle.stat();
    if (size < position.sizeBytes || (stored === null && size > 0)) {
      throw new SluiceError(
        'SINK_FILE_FOREIGN',
        `file ${path} must be as this sink left it, with ${position.sizeBytes} bytes; got ${size} bytes: move it away together with ${positionPath}`,
        { fields: { file: path } },
      );
    }
    await writing(path, 'permanent', async () => {
      await handle.truncate(position.sizeBytes);
      // From now on lines without a position are known to be ours.
      if (stored === null) await writePosition(positionPath, position);
    });
    return new JsonLinesSink(path, handle, position);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class JsonLinesSink implements Sink {
  readonly name: string;
  readonly delivery = 'exactly-once';
  readonly #path: string;
  readonly #handle: FileHandle;
  #position: SinkPosition;

  constructor(path: string, handle: FileHandle, position: SinkPosition) {
    this.name = `file ${path}`;
    this.#path = path;
    this.#handle = handle;
    this.#position = position;
  }

  async write(messages: MessageBatch): Promise<void> {
    const lines = newLines(messages, this.#position);
    if (lines.length === 0) return;
    const { sizeBytes } = this.#position;
    const position = advanced(this.#position, messages, sizeBytes + lines.length);
    await writing(this.#path, 'transient', async () => {
      // At a given place, so that trying again after half a write, on a full disk say, writes over that half.
      await writeWhole(this.#handle, lines, sizeBytes);
      await this.#handle.datasync();
      await writePosition(`${this.#path}.position`, position);
    });
    this.#position = position;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** The messages that the file does not hold yet, a line each. Line feeds within a value can only stand between its tokens, where a space does as well. */
function newLines(messages: MessageBatch, position: SinkPosition): Uint8Array {
  const { data, offsets } = messages.values;
  const first = offsets[0] ?? 0;
  const lines = new Uint8Array((offsets[messages.messageCount] ?? 0) - first + messages.messageCount);
  let end = 0;
  for (let i = 0; i < messages.messageCount; i++) {
    const partition = messages.partitions[i] ?? 0;
    if ((messages.offsets[i] ?? 0) < nextOffset(position, messages.topic, partition)) continue;
    const value = data.subarray(offsets[i], offsets[i + 1]);
    lines.set(value, end);
    for (let at = value.indexOf(lineFeed); at >= 0; at = value.indexOf(lineFeed, at + 1)) lines[end + at] = space;
    end += value.length;
    lines[end++] = lineFeed;
  }
  return lines.subarray(0, end);
}

async function writeWhole(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}

/** Null when there is none. */
async function readPosition(path: string): Promise<SinkPosition | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw new SluiceError('FILE_UNREADABLE', `could not read file ${path}: ${messageOf(cause)}`, {
      fields: { file: path },
      cause,
    });
  }
  return parsePosition(text, path);
}

/** Written beside its place and renamed, so that it is always the old one or the new one; on the disk, name and all, when this resolves. */
async function writePosition(path: string, position: SinkPosition): Promise<void> {
  const partialPath = `${path}.partial`;
  await using file = await open(partialPath, 'w');
  await file.writeFile(JSON.stringify(position));
  await file.datasync();
  await rename(partialPath, path);
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}

async function writing<T>(path: string, retryable: 'transient' | 'permanent', write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    throw new SluiceError(
      'FILE_WRITE_FAILED',
      `could not write file ${path}: ${messageOf(cause)}; check that its directory exists, may be written to, and has room`,
      { retryable, fields: { file: path }, cause },
    );
  }
}
