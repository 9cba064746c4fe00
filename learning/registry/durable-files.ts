import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a new file and has it on the disk before it returns. */
export async function writeDurably(path: string, contents: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(contents);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Renames and has the new name on the disk before it returns. On one file system a rename happens wholly or not at all, whatever crashes. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  const directory = await open(dirname(to), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
