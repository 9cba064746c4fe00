import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SluiceError } from '../../engine/error.ts';
import { isTestFile, testFileOf } from './load-test-file.ts';

/**
 * The test files that paths stand for: a test file itself, the one beside a job file, and all that are in a folder and below it, in order of their names.
 *
 * @throws {SluiceError} `TEST_FILE_MISSING` for a path that is not there, a job file without tests, and a folder without any.
 */
export async function findTestFiles(paths: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const path of paths) for (const file of await testFilesAt(path)) found.add(file);
  return [...found];
}

async function testFilesAt(path: string): Promise<readonly string[]> {
  if (await isFolder(path)) {
    const names = await readdir(path, { recursive: true });
    const files = names.filter(isTestFile).sort();
    if (files.length === 0) throw missing(`folder ${path} must hold test files, NAME.test.yaml; it has none`);
    return files.map((name) => join(path, name));
  }
  const file = isTestFile(path) ? path : testFileOf(path);
  if (file !== path) {
    await isFolder(file, `job file ${path} must have its tests beside it, in ${file}`);
  }
  return [file];
}

async function isFolder(
  path: string,
  whatFor = `${path} must be a test file, a job file or a folder`,
): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw missing(`${whatFor}; ${messageOf(error)}`);
  }
}

function missing(message: string): SluiceError {
  return new SluiceError('TEST_FILE_MISSING', message);
}
