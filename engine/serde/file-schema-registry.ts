import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SluiceError } from '../error.ts';
import { parseAvroSchema, resolutionProblem } from './avro-schema.ts';
import type { SchemaRegistry } from './schema-registry.ts';

/** What one file of the registry holds. */
interface Entry {
  readonly id: number;
  readonly subject: string;
  readonly schema: unknown;
}

/** How often registering may find its id taken by another process before it gives up. */
const maxAttempts = 100;

/**
 * The embedded registry: a directory with one file `<id>.json` for each schema, `{"id", "subject", "schema"}`. Several processes may use it at once: an id
 * belongs to whoever links its file first, and files are never changed.
 *
 * A schema under a subject must be able to read the records of the one before it (Confluent's `BACKWARD`, its default), so that readers
 * which are upgraded first can read everything.
 */
export class FileSchemaRegistry implements SchemaRegistry {
  readonly name: string;
  readonly #directory: string;

  /** The directory is made when something is first registered. */
  constructor(directory: string) {
    this.#directory = directory;
    this.name = `directory ${directory}`;
  }

  async schemaById(id: number): Promise<string | null> {
    const entry = await this.#read(`${id}.json`);
    return entry === null ? null : JSON.stringify(entry.schema);
  }

  async register(subject: string, schemaText: string): Promise<number> {
    const schema = parseAvroSchema(schemaText);
    const wanted: unknown = JSON.parse(schemaText);
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const entries = await this.#entries();
      const own = entries.filter((entry) => entry.subject === subject);
      const same = own.find((entry) => JSON.stringify(entry.schema) === JSON.stringify(wanted));
      if (same !== undefined) return same.id;
      const last = own.at(-1);
      const problem =
        last === undefined ? null : resolutionProblem(schema, parseAvroSchema(JSON.stringify(last.schema)));
      if (problem !== null) {
        throw new SluiceError(
          'SCHEMA_INCOMPATIBLE',
          `a new schema of "${subject}" must read what the last one (id ${last?.id ?? 0}) wrote; got one that cannot: ${problem}`,
          { fields: { subject } },
        );
      }
      const id = (entries.at(-1)?.id ?? 0) + 1;
      if (await this.#create({ id, subject, schema: wanted })) return id;
    }
    throw new SluiceError(
      'REGISTRY_UNAVAILABLE',
      `could not register a schema of "${subject}" in ${this.name}: other processes took ${maxAttempts} ids; try again`,
      {
        retryable: 'transient',
        fields: { subject },
      },
    );
  }

  /** Every entry, by id. */
  async #entries(): Promise<Entry[]> {
    let files: string[];
    try {
      await mkdir(this.#directory, { recursive: true });
      files = await readdir(this.#directory);
    } catch (thrown) {
      throw this.#unavailable('list', thrown);
    }
    const entries = await Promise.all(files.filter((file) => /^\d+\.json$/.test(file)).map((file) => this.#read(file)));
    return entries.filter((entry) => entry !== null).toSorted((a, b) => a.id - b.id);
  }

  async #read(file: string): Promise<Entry | null> {
    let text: string;
    try {
      text = await readFile(join(this.#directory, file), 'utf8');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw this.#unavailable(`read ${file} of`, thrown);
    }
    try {
      return JSON.parse(text) as Entry;
    } catch (thrown) {
      throw new SluiceError(
        'REGISTRY_CORRUPT',
        `could not read ${file} of ${this.name}: ${messageOf(thrown)}; restore the file`,
        { cause: thrown },
      );
    }
  }

  /** Whether the id was still free. The file appears whole or not at all. */
  async #create(entry: Entry): Promise<boolean> {
    const draft = join(this.#directory, `draft-${randomUUID()}`);
    try {
      await writeFile(draft, JSON.stringify(entry), { flush: true });
      await link(draft, join(this.#directory, `${entry.id}.json`));
      return true;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw this.#unavailable('write to', thrown);
    } finally {
      await rm(draft, { force: true });
    }
  }

  #unavailable(verb: string, thrown: unknown): SluiceError {
    return new SluiceError(
      'REGISTRY_UNAVAILABLE',
      `could not ${verb} the schema registry in ${this.name}: ${messageOf(thrown)}; check the directory`,
      {
        retryable: 'transient',
        cause: thrown,
      },
    );
  }
}
