import { readdir, readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { messageOf } from '../engine/error.ts';
import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import { nearestName } from '../engine/plan/nearest-name.ts';
import { PlanDocument, type DocumentPath, type Finding } from '../engine/plan/plan-document.ts';

/** Where files that a job names without a path are, beside the folder of jobs. */
export interface NamedFolder {
  readonly folder: string;
  readonly extension: string;
}

/** A file that was read. */
export interface NamedText {
  /** Its path as people know it: made from the job file's as they gave it. */
  readonly file: string;
  readonly text: string;
}

/** The files of one job while it is checked: their texts, and all that was found wrong in them. */
export class JobFiles {
  /** By file, for `renderDiagnostics`. */
  readonly sources: Map<string, string> = new Map();
  readonly diagnostics: Diagnostic[] = [];
  readonly #jobFile: string;

  /** @param jobFile the job file's path as the person gave it. */
  constructor(jobFile: string) {
    this.#jobFile = jobFile;
  }

  /** Reads the job file; `null` where that fails, which is said at the top of it. */
  async readJob(): Promise<PlanDocument | null> {
    const file = this.#jobFile;
    try {
      return this.#document(file, await readFile(file, 'utf8'));
    } catch (error) {
      const near = nearestName(file, await this.#filesIn(dirname(file), '.yaml'));
      const finding: Finding = {
        code: 'FILE_UNREADABLE',
        message: reasonOf(error, file),
        expected: 'a job file',
        nearest: near,
      };
      this.diagnostics.push(new PlanDocument(file, '').atValue([], finding));
      return null;
    }
  }

  /**
   * Reads a file that the job names; `null` where that fails, which is said at the name.
   *
   * @param name a file of the folder, without its ending, or a path relative to the job file.
   * @param path where in `document` the name stands.
   */
  async readNamed(
    document: PlanDocument,
    path: DocumentPath,
    name: string,
    { folder, extension }: NamedFolder,
  ): Promise<NamedText | null> {
    const isPath = name.includes('/') || name.endsWith(extension);
    const home = join(dirname(this.#jobFile), '..', folder);
    const file = isPath ? this.resolve(name) : join(home, name + extension);
    try {
      const text = await readFile(file, 'utf8');
      this.sources.set(file, text);
      return { file, text };
    } catch (error) {
      const files = await this.#filesIn(isPath ? dirname(file) : home, extension);
      const known = isPath ? files : files.map((path_) => path_.slice(home.length + 1, -extension.length));
      const finding: Finding = {
        code: 'FILE_UNREADABLE',
        message: reasonOf(error, file),
        expected: known.length === 0 ? `a file ${join(folder, `NAME${extension}`)}` : `one of ${known.join(', ')}`,
        nearest: nearestName(isPath ? file : name, known),
      };
      this.diagnostics.push(document.atValue(path, finding));
      return null;
    }
  }

  /** The path of a file that the job names by its path. */
  resolve(path: string): string {
    return isAbsolute(path) ? path : join(dirname(this.#jobFile), path);
  }

  #document(file: string, text: string): PlanDocument {
    this.sources.set(file, text);
    return new PlanDocument(file, text);
  }

  async #filesIn(folder: string, extension: string): Promise<readonly string[]> {
    try {
      const names = await readdir(folder);
      return names
        .filter((name) => name.endsWith(extension))
        .sort()
        .map((name) => join(folder, name));
    } catch {
      // The folder is not there either; the message about the file says enough.
      return [];
    }
  }
}

function reasonOf(error: unknown, file: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOENT' || code === 'ENOTDIR') return `there is no file ${file}`;
  if (code === 'EISDIR') return `${file} is a folder`;
  return `${file} cannot be read: ${messageOf(error)}`;
}
