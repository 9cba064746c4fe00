import { statfsSync } from 'node:fs';
import { SluiceError, messageOf } from '../error.ts';

/** What a write meets when the disk, a quota or a limit on file sizes is reached: ENOSPC, EFBIG, EDQUOT, LMDB's own map limit. */
const fullCodes = new Set<unknown>([28, 27, 122, -30792]);
/** LMDB's word for a page write that the system took only in part, which is how a disk that fills up in mid-write looks. */
const shortWriteCode = 5;
/** Not an LMDB file, another version's, or one whose pages are not what they should be. */
const corruptCodes = new Set<unknown>([-30793, -30794, -30796, -30797, -30785]);

/**
 * What LMDB threw, as an error of the world that names the directory and the way out. Every call into LMDB goes through this.
 *
 * @param action what was being done, as in "could not `append to topic transactions`".
 */
export function storageError(action: string, directory: string, thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (fullCodes.has(code) || code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG' || code === shortWriteCode) {
    return storageFull(action, directory, thrown);
  }
  if (corruptCodes.has(code)) return storageCorrupt(directory, messageOf(thrown), thrown);
  return new SluiceError('STORAGE_FAILED', `could not ${action} in ${directory}: ${messageOf(thrown)}`, {
    fields: { directory },
    cause: thrown,
  });
}

/** `STORAGE_FULL`: nothing of the transaction was written, and the same call may be made again once there is space. */
function storageFull(action: string, directory: string, cause: unknown): SluiceError {
  return new SluiceError(
    'STORAGE_FULL',
    `could not ${action} in ${directory}: the disk took no more (${freeSpace(directory)} free there; it is full, or over a quota or a limit on file sizes). ` +
      `Nothing was written. Make space, or lower the retention of the topics, and go on: the same write is tried again`,
    { retryable: 'transient', fields: { directory }, cause },
  );
}

/** `STORAGE_CORRUPT`: the files are not what was written there; nothing is read past the damage and nothing is repaired by guessing. */
export function storageCorrupt(directory: string, found: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'STORAGE_CORRUPT',
    `the log in ${directory} must be whole; got ${found}. ` +
      `Put back a copy of the directory, or move it away to start anew from the sources`,
    { fields: { directory }, cause },
  );
}

function freeSpace(directory: string): string {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return `${((bavail * bsize) / 1_048_576).toFixed(0)} MiB`;
  } catch {
    return 'unknown space';
  }
}
