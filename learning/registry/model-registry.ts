import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SluiceError } from '../../engine/error.ts';
import { renameDurably, writeDurably } from './durable-files.ts';
import { type ModelManifest, modelManifestSchema } from './model-manifest.ts';
import { type ModelAlias, modelAliases, type ModelReference, parseModelReference } from './model-reference.ts';

/** A version as it lies in the registry, its digest checked. */
export interface RegisteredModel {
  readonly manifest: ModelManifest;
  /** The ONNX file. */
  readonly bytes: Uint8Array;
}

/** A manifest before it is published: the registry adds the version and the digest. */
export type ManifestDraft = Omit<ModelManifest, 'format' | 'version' | 'modelDigest'>;

/** Which version each alias names; an alias that names none is absent. */
export type AliasTable = Readonly<Partial<Record<ModelAlias, number>>>;

const modelFile = 'model.onnx';
const manifestFile = 'manifest.json';
const aliasFile = 'aliases.json';

/**
 * The embedded model registry: a directory of files that people can read and a repository can hold.
 *
 *     <directory>/fraud/1/model.onnx      versions never change once they are there
 *     <directory>/fraud/1/manifest.json
 *     <directory>/fraud/aliases.json      {"champion": 1}: what moves
 *
 * A version appears whole or not at all, by the rename of a finished directory; the aliases change all together, by the rename of a
 * finished file. Several processes may read while one writes. Two that publish at once get two versions; of two that move aliases
 * at once, the later one's table stands.
 */
export class ModelRegistry {
  readonly #directory: string;

  /** @param directory made with the first version, if need be. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Adds a version and returns its manifest. No alias is moved: a new model decides nothing yet.
   *
   * @throws {SluiceError} `MODEL_MANIFEST_INVALID` where the draft is not a manifest; `REGISTRY_WRITE_FAILED`.
   */
  async publish(draft: ManifestDraft, model: Uint8Array): Promise<ModelManifest> {
    const modelDigest = digestOf(model);
    for (let version = ((await this.versions(draft.name)).at(-1) ?? 0) + 1; ; version++) {
      const manifest = checkManifest({ ...draft, format: 1, version, modelDigest }, `${draft.name}@${version}`);
      if (await this.#place(manifest, model)) return manifest;
    }
  }

  /** Versions of a model, rising; empty for a model that has none. @throws {SluiceError} `REGISTRY_CORRUPT` where the directory cannot be read. */
  async versions(name: string): Promise<number[]> {
    const home = join(this.#directory, name);
    const entries = await readdir(home).catch(absentOr(home, []));
    return entries
      .filter((entry) => /^[1-9]\d*$/.test(entry))
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** Where the aliases of a model point; empty before the first was set. @throws {SluiceError} `REGISTRY_CORRUPT`. */
  async aliases(name: string): Promise<AliasTable> {
    const path = join(this.#directory, name, aliasFile);
    const text = await readFile(path, 'utf8').catch(absentOr(path, undefined));
    return text === undefined ? {} : readAliases(text, path);
  }

  /**
   * Reads a version, and checks that its bytes are those that were published.
   *
   * @param reference such as `fraud@champion`; @throws {SluiceError} `MODEL_REFERENCE_INVALID`, `MODEL_UNKNOWN`, `REGISTRY_CORRUPT`.
   */
  async load(reference: string): Promise<RegisteredModel> {
    const { name, version: wanted } = parseModelReference(reference);
    const version = await this.#resolve({ name, version: wanted }, reference);
    const directory = join(this.#directory, name, String(version));
    const label = `${name}@${version}`;
    const text = await readFile(join(directory, manifestFile), 'utf8').catch((cause: unknown) => {
      throw corrupt(directory, messageOf(cause), cause);
    });
    const bytes = await readFile(join(directory, modelFile)).catch((cause: unknown) => {
      throw corrupt(directory, messageOf(cause), cause);
    });
    const manifest = checkManifest(parseJson(text, join(directory, manifestFile)), label);
    if (digestOf(bytes) !== manifest.modelDigest) {
      throw corrupt(directory, `${modelFile} has another digest than its manifest says`);
    }
    return { manifest, bytes };
  }

  /** Makes a version the challenger, which is scored beside the champion and decides nothing. @throws {SluiceError} `MODEL_UNKNOWN`. */
  async challenge(name: string, version: number): Promise<AliasTable> {
    await this.#resolve({ name, version }, `${name}@${version}`);
    return this.#moveAliases(name, { ...(await this.aliases(name)), challenger: version });
  }

  /** Makes a version the champion; the champion until now becomes `previous`, and a challenger that has won is one no more. @throws {SluiceError} `MODEL_UNKNOWN`. */
  async promote(name: string, version: number): Promise<AliasTable> {
    await this.#resolve({ name, version }, `${name}@${version}`);
    const { champion, challenger, previous } = await this.aliases(name);
    const back = champion === version ? previous : champion;
    return this.#moveAliases(name, {
      champion: version,
      ...(challenger === undefined || challenger === version ? {} : { challenger }),
      ...(back === undefined ? {} : { previous: back }),
    });
  }

  /** Exchanges champion and previous: one move back, and the same move forth again. @throws {SluiceError} `MODEL_UNKNOWN` where there is no previous. */
  async rollback(name: string): Promise<AliasTable> {
    const table = await this.aliases(name);
    const { champion, previous } = table;
    if (champion === undefined || previous === undefined) {
      throw unknownModel(`${name}@previous`, 'there is no champion to go back to', await this.versions(name), table);
    }
    return this.#moveAliases(name, { ...table, champion: previous, previous: champion });
  }

  async #place(manifest: ModelManifest, model: Uint8Array): Promise<boolean> {
    const home = join(this.#directory, manifest.name);
    let staging: string | undefined;
    try {
      await mkdir(home, { recursive: true });
      staging = await mkdtemp(join(home, '.publishing-'));
      await writeDurably(join(staging, modelFile), model);
      await writeDurably(join(staging, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
      await renameDurably(staging, join(home, String(manifest.version)));
      return true;
    } catch (thrown) {
      if (staging !== undefined) await rm(staging, { recursive: true, force: true });
      if (hasCode(thrown, 'ENOTEMPTY') || hasCode(thrown, 'EEXIST')) return false;
      throw writeFailed(`${manifest.name}@${manifest.version}`, home, thrown);
    }
  }

  async #moveAliases(name: string, table: AliasTable): Promise<AliasTable> {
    const home = join(this.#directory, name);
    try {
      const staging = await mkdtemp(join(home, '.aliases-'));
      await writeDurably(join(staging, aliasFile), `${JSON.stringify(table)}\n`);
      await renameDurably(join(staging, aliasFile), join(home, aliasFile));
      await rm(staging, { recursive: true });
    } catch (thrown) {
      throw writeFailed(`the aliases of ${name}`, home, thrown);
    }
    return table;
  }

  async #resolve({ name, version }: ModelReference, reference: string): Promise<number> {
    const versions = await this.versions(name);
    const table = await this.aliases(name);
    const found = typeof version === 'number' ? version : table[version];
    if (found === undefined) throw unknownModel(reference, `no version is its ${version}`, versions, table);
    if (!versions.includes(found)) throw unknownModel(reference, `there is no version ${found}`, versions, table);
    return found;
  }
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function checkManifest(manifest: unknown, label: string): ModelManifest {
  const result = modelManifestSchema.safeParse(manifest);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'manifest'}: ${issue.message}`);
  throw new SluiceError(
    'MODEL_MANIFEST_INVALID',
    `the manifest of ${label} must have the registry's format; got ${problems.join('; ')}`,
    { fields: { model: label } },
  );
}

function readAliases(text: string, path: string): AliasTable {
  const table = parseJson(text, path);
  if (typeof table !== 'object' || table === null || Array.isArray(table)) throw corrupt(path, 'it is not an object');
  for (const [alias, version] of Object.entries(table)) {
    const known = modelAliases.some((name) => name === alias);
    if (!known || !Number.isSafeInteger(version)) throw corrupt(path, `"${alias}" must be an alias with a version`);
  }
  return table;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw corrupt(path, messageOf(thrown), thrown);
  }
}

function unknownModel(reference: string, why: string, versions: readonly number[], table: AliasTable): SluiceError {
  const known = versions.length === 0 ? 'none' : versions.join(', ');
  const aliases = Object.entries(table).map(([alias, version]) => `${alias} is ${version}`);
  return new SluiceError(
    'MODEL_UNKNOWN',
    `model ${reference} must be in the registry: ${why}; versions: ${known}; aliases: ${aliases.join(', ') || 'none'}; train or promote one`,
    { fields: { model: reference } },
  );
}

function corrupt(path: string, why: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'REGISTRY_CORRUPT',
    `could not read ${path}: ${why}; restore it from a backup or publish the model anew`,
    { fields: { path }, ...(cause === undefined ? {} : { cause }) },
  );
}

function writeFailed(what: string, home: string, cause: unknown): SluiceError {
  return new SluiceError(
    'REGISTRY_WRITE_FAILED',
    `could not write ${what} to ${home}: ${messageOf(cause)}; nothing was changed: free space or permissions, then try again`,
    { retryable: 'transient', cause, fields: { path: home } },
  );
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}

/** For what may not be there yet; anything else that keeps it from being read is an error. */
function absentOr<T>(path: string, absent: T): (thrown: unknown) => T {
  return (thrown) => {
    if (hasCode(thrown, 'ENOENT')) return absent;
    throw corrupt(path, messageOf(thrown), thrown);
  };
}
