import { open, type FileHandle } from 'node:fs/promises';
import { SluiceError, messageOf } from '../../error.ts';

/**
 * A file that is read at given positions. It is opened once and its size is taken then: what is appended later does not belong to it, and
 * a file that is replaced under its name is read on as it was.
 */
export class InputFile implements AsyncDisposable {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;

  private constructor(path: string, sizeBytes: number, handle: FileHandle) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
  }

  /** @throws {SluiceError} `FILE_MISSING` when there is no such file, `FILE_UNREADABLE` when it may not be read or is no file. */
  static async open(path: string): Promise<InputFile> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (cause) {
      const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
      throw isMissing
        ? new SluiceError('FILE_MISSING', `file ${path} must exist; got no such file`, {
            fields: { file: path },
            cause,
          })
        : unreadable(path, cause);
    }
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw new Error('it is a directory or a device');
      return new InputFile(path, stat.size, handle);
    } catch (cause) {
      await handle.close();
      throw unreadable(path, cause);
    }
  }

  /**
   * The bytes `[start, end)`, as a buffer of their own.
   *
   * @throws {SluiceError} `FILE_UNREADABLE` when the disk fails, or when the file has become shorter.
   */
  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    try {
      while (filled < bytes.length) {
        const { bytesRead } = await this.#handle.read(bytes, filled, bytes.length - filled, start + filled);
        if (bytesRead === 0) throw new Error(`it ended at byte ${start + filled}, having had ${this.sizeBytes} bytes`);
        filled += bytesRead;
      }
    } catch (cause) {
      throw unreadable(this.path, cause);
    }
    return bytes;
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

function unreadable(path: string, cause: unknown): SluiceError {
  return new SluiceError('FILE_UNREADABLE', `could not read file ${path}: ${messageOf(cause)}`, {
    fields: { file: path },
    cause,
  });
}
