import { createHash, type Hash } from 'node:crypto';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { SluiceError, messageOf } from '../error.ts';
import type { StateEntry } from './state-store.ts';

const magic = Buffer.from('SLUICESP');
const formatVersion = 1;
const headerBytes = 16;
/** A section of entries is cut at this size. */
const sectionBytes = 1024 * 1024;
/** No section is larger: a length beyond it is damage, and is not believed. */
const mostSectionBytes = 256 * 1024 * 1024;

const kinds = { manifest: 1, entries: 2, end: 3 } as const;

/** Entries of one operator of one task. */
export interface SavepointEntries {
  /** Which of the tasks that the manifest names. */
  readonly task: number;
  readonly operatorId: string;
  readonly entries: readonly StateEntry[];
}

/**
 * Writes a savepoint: one file that says itself what it is. Little-endian:
 *
 *     8 bytes "SLUICESP" · u32 version · u32 zero
 *     sections: u32 kind · u32 CRC-32 of the content · u64 bytes · content
 *       1  the manifest, JSON              (first, once)
 *       2  u32 task · u32 bytes of the operator's id, id · u32 entries · then for each u32 bytes of key, of value, key, value
 *       3  SHA-256 of everything before it (last, once)
 *
 * It is written beside its place, brought to the disk, and put there whole: a file of that name is never half a savepoint.
 */
export class SavepointWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  #isDone = false;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws {SluiceError} `SAVEPOINT_UNWRITABLE` */
  static async open(path: string, manifest: object): Promise<SavepointWriter> {
    return writing(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      const writer = new SavepointWriter(path, await open(partOf(path), 'w'));
      const header = Buffer.alloc(headerBytes);
      magic.copy(header);
      header.writeUInt32LE(formatVersion, 8);
      await writer.#append(header);
      await writer.#section(kinds.manifest, Buffer.from(JSON.stringify(manifest)));
      return writer;
    });
  }

  /** Writes all entries of an operator of a task. @throws {SluiceError} `SAVEPOINT_UNWRITABLE` */
  async add(
    task: number,
    operatorId: string,
    entries: AsyncIterable<StateEntry> | Iterable<StateEntry>,
  ): Promise<number> {
    let count = 0;
    let some: StateEntry[] = [];
    let bytes = 0;
    for await (const entry of entries) {
      some.push(entry);
      count++;
      bytes += 8 + entry.key.length + entry.value.length;
      if (bytes < sectionBytes) continue;
      await this.#entries(task, operatorId, some);
      [some, bytes] = [[], 0];
    }
    if (some.length > 0) await this.#entries(task, operatorId, some);
    return count;
  }

  /** Ends the file and puts it in its place, on the disk. @throws {SluiceError} `SAVEPOINT_UNWRITABLE` */
  async finish(): Promise<void> {
    await writing(this.#path, async () => {
      await this.#section(kinds.end, this.#hash.copy().digest());
      await this.#file.sync();
      await this.#file.close();
      await rename(partOf(this.#path), this.#path);
      const folder = await open(dirname(this.#path), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
      this.#isDone = true;
    });
  }

  /** Without `finish`, nothing is left of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDone) return;
    await this.#file.close().catch(() => undefined);
    await rm(partOf(this.#path), { force: true });
  }

  async #entries(task: number, operatorId: string, entries: readonly StateEntry[]): Promise<void> {
    const id = Buffer.from(operatorId);
    const size = entries.reduce((sum, { key, value }) => sum + 8 + key.length + value.length, 12 + id.length);
    const content = Buffer.allocUnsafe(size);
    content.writeUInt32LE(task, 0);
    content.writeUInt32LE(id.length, 4);
    id.copy(content, 8);
    content.writeUInt32LE(entries.length, 8 + id.length);
    let at = 12 + id.length;
    for (const { key, value } of entries) {
      content.writeUInt32LE(key.length, at);
      content.writeUInt32LE(value.length, at + 4);
      content.set(key, at + 8);
      content.set(value, at + 8 + key.length);
      at += 8 + key.length + value.length;
    }
    await writing(this.#path, () => this.#section(kinds.entries, content));
  }

  async #section(kind: number, content: Buffer): Promise<void> {
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(kind, 0);
    header.writeUInt32LE(crc32(content), 4);
    header.writeBigUInt64LE(BigInt(content.length), 8);
    await this.#append(header);
    await this.#append(content);
  }

  async #append(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length;) at += (await this.#file.write(bytes, at)).bytesWritten;
  }
}

/** A savepoint that was found whole. */
export interface Savepoint {
  readonly manifest: unknown;
  /** The entries, as they stand in the file; read again each time. */
  entries(): AsyncGenerator<SavepointEntries>;
}

/**
 * Reads a savepoint from end to end, and gives it only where every checksum holds.
 *
 * @throws {SluiceError} `SAVEPOINT_MISSING`; `SAVEPOINT_DAMAGED` where it is cut off or altered, or no savepoint; `SAVEPOINT_VERSION`.
 */
export async function openSavepoint(path: string): Promise<Savepoint> {
  let manifest: unknown;
  for await (const section of sectionsOf(path))
    if (section.kind === kinds.manifest) manifest = jsonOf(path, section.content);
  if (manifest === undefined) throw damaged(path, 'no manifest');
  return {
    manifest,
    async *entries() {
      for await (const { kind, content } of sectionsOf(path))
        if (kind === kinds.entries) yield entriesOf(path, content);
    },
  };
}

interface Section {
  readonly kind: number;
  readonly content: Buffer;
}

async function* sectionsOf(path: string): AsyncGenerator<Section> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new SluiceError('SAVEPOINT_MISSING', `could not open the savepoint ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  try {
    const hash = createHash('sha256');
    const read = async (bytes: number): Promise<Buffer> => {
      const buffer = Buffer.allocUnsafe(bytes);
      let filled = 0;
      while (filled < bytes) {
        const { bytesRead } = await file.read(buffer, filled, bytes - filled);
        if (bytesRead === 0) throw damaged(path, 'its end is missing');
        filled += bytesRead;
      }
      return buffer;
    };
    const start = await read(headerBytes);
    if (!start.subarray(0, magic.length).equals(magic)) throw damaged(path, 'it does not begin as one');
    const version = start.readUInt32LE(8);
    if (version !== formatVersion) throw otherVersion(path, version);
    hash.update(start);
    for (;;) {
      const header = await read(headerBytes);
      const kind = header.readUInt32LE(0);
      const bytes = Number(header.readBigUInt64LE(8));
      if (bytes > mostSectionBytes) throw damaged(path, `a section of ${bytes} bytes`);
      const content = await read(bytes);
      if (crc32(content) !== header.readUInt32LE(4))
        throw damaged(path, 'a section has another checksum than it was written with');
      if (kind === kinds.end) {
        if (!hash.digest().equals(content)) throw damaged(path, 'it has another checksum than it was written with');
        return;
      }
      if (kind !== kinds.manifest && kind !== kinds.entries) throw damaged(path, `a section of kind ${kind}`);
      hash.update(header);
      hash.update(content);
      yield { kind, content };
    }
  } finally {
    await file.close();
  }
}

function entriesOf(path: string, content: Buffer): SavepointEntries {
  try {
    const task = content.readUInt32LE(0);
    const idEnd = 8 + content.readUInt32LE(4);
    const operatorId = content.toString('utf8', 8, idEnd);
    let at = idEnd + 4;
    const entries = Array.from({ length: content.readUInt32LE(idEnd) }, () => {
      const keyStart = at + 8;
      const valueStart = keyStart + content.readUInt32LE(at);
      const end = valueStart + content.readUInt32LE(at + 4);
      at = end;
      return { key: content.subarray(keyStart, valueStart), value: content.subarray(valueStart, end) };
    });
    return { task, operatorId, entries };
  } catch (error) {
    throw damaged(path, messageOf(error));
  }
}

function jsonOf(path: string, content: Buffer): unknown {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch (error) {
    throw damaged(path, messageOf(error));
  }
}

function partOf(path: string): string {
  return `${path}.part`;
}

async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw new SluiceError('SAVEPOINT_UNWRITABLE', `could not write the savepoint ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function damaged(path: string, found: string): SluiceError {
  return new SluiceError(
    'SAVEPOINT_DAMAGED',
    `the savepoint ${path} must be whole and as it was written; got a file where ${found}. Nothing of it was used: take another copy`,
    { fields: { path } },
  );
}

function otherVersion(path: string, version: number): SluiceError {
  return new SluiceError(
    'SAVEPOINT_VERSION',
    `the savepoint ${path} must have format ${formatVersion}; got ${version}, which another Sluice wrote: restore it with that one`,
    { fields: { path, version } },
  );
}
