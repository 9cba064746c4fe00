import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { fdatasync, open, write, type PathLike } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { metaBytes, parseMeta, type LmdbMeta } from './lmdb-file.ts';

const writeAt = promisify(write);
const flush = promisify(fdatasync);
const openFile = promisify(open);

/**
 * Slots of a checkpoint file, each larger than a disk's sector so that writing one cannot hurt the other:
 *
 *   0  u32  CRC-32 of the rest      8  u32  length of the boot id, which follows, 36 bytes at most
 *   4  u32  version                48       the meta
 */
const slotBytes = 4096;
const usedBytes = 48 + metaBytes;
const version = 1;

/** A transaction that is wholly on the disk, and the kernel's run in which it was written there. */
export interface Checkpoint {
  readonly meta: LmdbMeta;
  readonly bootId: string;
}

/** The newest checkpoint in a file; `null` when there is none (a log that never lived for a checkpoint's interval). */
export function readCheckpoint(path: PathLike): Checkpoint | null {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    const slots = [0, 1].map((slot) => readSlot(fd, slot)).filter((found) => found !== null);
    return slots.toSorted((a, b) => b.meta.txnId - a.meta.txnId)[0] ?? null;
  } finally {
    closeSync(fd);
  }
}

function readSlot(fd: number, slot: number): Checkpoint | null {
  const data = Buffer.alloc(usedBytes);
  if (readSync(fd, data, 0, usedBytes, slot * slotBytes) !== usedBytes) return null;
  if (data.readUInt32LE(0) !== crc32(data.subarray(4)) || data.readUInt32LE(4) !== version) return null;
  const meta = parseMeta(data.subarray(48));
  return meta === null ? null : { meta, bootId: data.toString('latin1', 12, 12 + data.readUInt32LE(8)) };
}

function encodeSlot(checkpoint: Checkpoint): Buffer {
  const data = Buffer.alloc(slotBytes);
  data.writeUInt32LE(version, 4);
  data.writeUInt32LE(data.write(checkpoint.bootId, 12, 36, 'latin1'), 8);
  checkpoint.meta.raw.copy(data, 48);
  data.writeUInt32LE(crc32(data.subarray(4, usedBytes)), 0);
  return data;
}

/** Writes checkpoints, each into the slot that does not hold the last one. */
export class CheckpointFile {
  readonly #fd: number;
  #slot: number;

  private constructor(fd: number, slot: number) {
    this.#fd = fd;
    this.#slot = slot;
  }

  /** @throws what the file system throws. */
  static async open(path: string): Promise<CheckpointFile> {
    const fd = await openFile(path, 'a+').then(async (created) => {
      closeSync(created);
      return openFile(path, 'r+');
    });
    const newest = [0, 1].map((slot) => readSlot(fd, slot)?.meta.txnId ?? -1);
    return new CheckpointFile(fd, (newest[0] ?? -1) > (newest[1] ?? -1) ? 1 : 0);
  }

  /** Resolves when the checkpoint is on the disk; the one before is overwritten by the next call. */
  async write(checkpoint: Checkpoint): Promise<void> {
    await writeAt(this.#fd, encodeSlot(checkpoint), 0, slotBytes, this.#slot * slotBytes);
    await flush(this.#fd);
    this.#slot = 1 - this.#slot;
  }

  /** The same without leaving the caller's turn: for closing and for recovery. */
  writeSync(checkpoint: Checkpoint): void {
    writeSync(this.#fd, encodeSlot(checkpoint), 0, slotBytes, this.#slot * slotBytes);
    fdatasyncSync(this.#fd);
    this.#slot = 1 - this.#slot;
  }

  /** Closes the file. */
  close(): void {
    closeSync(this.#fd);
  }
}
