import { Session } from 'chdb';

/** A statement as the HTTP interface gives it: everything that ClickHouse lets a request set beside the text. */
export interface Statement {
  readonly sql: string;
  /** Used where the statement names no `FORMAT`. */
  readonly format: string;
  readonly database: string | null;
  readonly settings: ReadonlyMap<string, string>;
  /** Values of `{name:Type}` placeholders, in ClickHouse's escaped text form. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** What a statement did. */
export interface StatementResult {
  readonly data: Uint8Array;
  readonly rows: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** What chDB says of a statement that failed, with ClickHouse's number for it (1002 where it gives none). */
export class StatementFailed extends Error {
  readonly clickHouseCode: number;

  constructor(message: string) {
    super(message);
    this.clickHouseCode = Number(/Code: (\d+)/.exec(message)?.[1] ?? 1002);
  }
}

/**
 * ClickHouse in this process (chDB), on one data directory: the only place that calls the `chdb` package. A process opens one directory, and a
 * directory is opened by one process; chDB holds a lock of the system on it.
 *
 * Every statement has a connection of its own, since settings and parameters belong to a connection, and would otherwise be the next
 * statement's too. That costs 0.2 ms.
 */
export class ChdbEngine {
  readonly #path: string;
  /** Keeps the engine up between statements. */
  readonly #first: Session;
  readonly version: string;

  /** @throws {StatementFailed} when another process has the directory, among other reasons; which, the engine says on standard error. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#first = new Session(path);
      this.version = this.#first.query('SELECT version()', 'TSVRaw').trim();
    } catch (thrown) {
      throw failed(thrown);
    }
  }

  /** Runs a statement, and gives its whole result at once. Off the event loop. @throws {StatementFailed} */
  async run(statement: Statement): Promise<StatementResult> {
    const session = await this.#prepare(statement);
    try {
      const result = await session.queryAsync(statement.sql, { format: statement.format });
      return { data: result.bytes(), rows: result.rowsRead, bytes: result.bytesRead, elapsedMs: result.elapsed * 1000 };
    } catch (thrown) {
      throw failed(thrown);
    } finally {
      session.close();
    }
  }

  /**
   * Runs a query, and gives its result block by block, each written in the format by itself: for formats whose blocks may stand behind each
   * other. Ending the iteration early ends the query. @throws {StatementFailed}
   */
  async *stream(statement: Statement): AsyncGenerator<Uint8Array> {
    const session = await this.#prepare(statement);
    try {
      for await (const chunk of session.queryStream(statement.sql, { format: statement.format })) yield chunk.raw();
    } catch (thrown) {
      throw failed(thrown);
    } finally {
      session.close();
    }
  }

  /** Waits for what runs, and lets go of the data directory. */
  close(): void {
    this.#first.close();
  }

  async #prepare(statement: Statement): Promise<Session> {
    const session = new Session(this.#path);
    const assignments = [
      ...[...statement.settings].map(([name, value]) => `${identifier(name)} = ${literal(value)}`),
      ...[...statement.parameters].map(([name, value]) => `${identifier(`param_${name}`)} = ${literal(value)}`),
    ];
    try {
      if (statement.database !== null) await session.queryAsync(`USE ${quoted(statement.database)}`);
      if (assignments.length > 0) await session.queryAsync(`SET ${assignments.join(', ')}`);
      return session;
    } catch (thrown) {
      session.close();
      throw failed(thrown);
    }
  }
}

/** A setting's name may be nothing but a name, since it stands in a statement. */
function identifier(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name;
  throw new StatementFailed(`Code: 115. DB::Exception: Setting '${name}' is no name of a setting. (UNKNOWN_SETTING)`);
}

function literal(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function quoted(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

function failed(thrown: unknown): unknown {
  return thrown instanceof Error && !(thrown instanceof StatementFailed) ? new StatementFailed(thrown.message) : thrown;
}
