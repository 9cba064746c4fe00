import { EmbeddedClickHouse } from '../../engine/clickhouse/embedded-clickhouse.ts';
import type { ClickHouseAccess } from '../../engine/clickhouse/clickhouse-access.ts';
import { readRows } from '../../engine/clickhouse/read-rows.ts';
import { SluiceError } from '../../engine/error.ts';
import { retryTransient } from '../../engine/execution/retry-transient.ts';
import { errorFields, type Logger } from '../../engine/observability/logger.ts';
import { boundToNow } from '../../engine/source/bounded-source.ts';
import { TableVersions } from '../../engine/source/table/table-versions.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { InputDefinition, TableCopyDefinition } from '../plan/inputs-plan.ts';
import { openTopicSource } from './open-source.ts';

const learnedAtOnce = 4_096;

/** What the copies of a job work with. */
export interface TableCopiesProfile {
  readonly storage: Storage;
  /** The data directory; the embedded ClickHouse has a folder in it. */
  readonly directory: string;
  readonly logger: Logger;
}

/** Where a table's topic is kept up with what a query gives. */
interface TableCopy {
  readonly name: string;
  readonly everyMs: number;
  /** Asks, and writes what has changed. */
  readonly copy: () => Promise<void>;
}

/**
 * Keeps the topics of a job's tables that are copies of what ClickHouse says. The job reads those topics as any other: each version has a position, so what was looked up for a record is the same after every
 * crash and in every replay, whatever the query would give by then.
 */
export class TableCopies implements AsyncDisposable {
  readonly #copies: readonly TableCopy[];
  readonly #clickHouse: EmbeddedClickHouse | null;
  readonly #profile: TableCopiesProfile;

  private constructor(
    copies: readonly TableCopy[],
    clickHouse: EmbeddedClickHouse | null,
    profile: TableCopiesProfile,
  ) {
    this.#copies = copies;
    this.#clickHouse = clickHouse;
    this.#profile = profile;
  }

  /**
   * Copies each table once, so that a job does not look its first records up in nothing. Called before the job's inputs are opened; waits for a ClickHouse that is busy.
   *
   * @throws {SluiceError} `CLICKHOUSE_REFUSED`, `TABLE_ROWS_WRONG`, `CLICKHOUSE_UNAVAILABLE` where no embedded one can be started; what the storage throws.
   */
  static async open({ source }: CheckedJob, profile: TableCopiesProfile, signal: AbortSignal): Promise<TableCopies> {
    const tables = source.kind === 'inputs' ? source.plan.inputs : [];
    if (!tables.some(({ copyOf }) => copyOf !== null)) return new TableCopies([], null, profile);
    const { storage, directory } = profile;
    const clickHouse = await EmbeddedClickHouse.open({ directory, clock: storage.clock });
    try {
      const copies: TableCopy[] = [];
      for (const table of tables) {
        if (table.copyOf !== null) copies.push(await openCopy(table, table.copyOf, clickHouse, profile));
      }
      const opened = new TableCopies(copies, clickHouse, profile);
      for (const copy of copies) await opened.#once(copy, signal);
      return opened;
    } catch (thrown) {
      await clickHouse[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Copies each table again whenever its time has come, until the signal. Called once. What fails then is told, and tried again in its turn: the job goes on with the versions that it has. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#copies.map((copy) => this.#keep(copy, signal)));
  }

  /** Closes the way to ClickHouse; `run` must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clickHouse?.[Symbol.asyncDispose]();
  }

  async #keep(copy: TableCopy, signal: AbortSignal): Promise<void> {
    const { storage, logger } = this.#profile;
    for (;;) {
      await storage.clock.sleep(copy.everyMs, signal);
      if (signal.aborted) return;
      try {
        await this.#once(copy, signal);
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        logger.warn(`table ${copy.name} is not copied, and stays as it was`, errorFields(error));
      }
    }
  }

  async #once({ name, copy }: TableCopy, signal: AbortSignal): Promise<void> {
    const { storage, logger } = this.#profile;
    await retryTransient(copy, storage.clock, signal, (error, delayMs) =>
      logger.warn(`table ${name} waits to be copied`, { ...errorFields(error), delayMs }),
    );
  }
}

async function openCopy(
  { name, source, schema }: InputDefinition,
  { query, everyMs }: TableCopyDefinition,
  clickHouse: ClickHouseAccess,
  { storage, logger }: TableCopiesProfile,
): Promise<TableCopy> {
  if (source.kind !== 'topic') throw new TypeError('a copy is kept in a topic: the job was checked');
  const { topic, key, eventTime } = { ...source, eventTime: source.eventTime.field };
  const known = storage.topics().find((each) => each.name === topic);
  const { partitionCount } = known ?? storage.ensureTopic(topic, { partitionCount: 1 });
  const fields = schema.fields.map((field) => field.name);
  const versions = new TableVersions({ name, topic, partitionCount, fields, key, eventTimeField: eventTime });
  await learn(versions, storage, topic);
  const copy = async (): Promise<void> => {
    const { messages, changed, deleted, done } = versions.changesTo(
      await readRows(clickHouse, `copy table ${name}`, query),
    );
    if (messages === null) return;
    await storage.append(messages);
    done();
    logger.info(`table ${name} was copied`, { topic, changed, deleted, keys: versions.size });
  };
  return { name, everyMs, copy };
}

/** Reads what the topic says already. */
async function learn(versions: TableVersions, storage: Storage, topic: string): Promise<void> {
  await using source = await boundToNow(openTopicSource(storage, topic));
  await source.seek((await source.ranges()).map(({ partition, startOffset: offset }) => ({ partition, offset })));
  const { signal } = new AbortController();
  for (;;) {
    const polled = await source.poll({ maxRecords: learnedAtOnce, maxWaitMs: 0, signal });
    if (polled === 'end') return;
    if (polled?.kind === 'messages') versions.learn(polled.messages);
  }
}
