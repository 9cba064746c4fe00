import pino from 'pino';
import { SluiceError } from '../error.ts';

/** Ids and figures of one log line; never a record's contents, a card number or a secret (exactly-once, I13). */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/**
 * Where the runtime tells what went wrong and is being mended, and the few turning points of a query's life. Normal operation is silent: its figures are
 * metrics and progress reports.
 */
export interface Logger {
  /** A turning point of a query's life. */
  info(message: string, fields?: LogFields): void;
  /** Something went wrong and is being mended. */
  warn(message: string, fields?: LogFields): void;
  /** Something went wrong for good. */
  error(message: string, fields?: LogFields): void;
}

/** A logger that writes JSON lines to standard error, so that standard output stays the command's own. */
export function jsonLogger(name: string): Logger {
  const log = pino(
    { name, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    /** A turning point of a query's life. */
    info: (message, fields) => log.info(fields ?? {}, message),
    /** Something went wrong and is being mended. */
    warn: (message, fields) => log.warn(fields ?? {}, message),
    /** Something went wrong for good. */
    error: (message, fields) => log.error(fields ?? {}, message),
  };
}

/** An error as the fields of a log line. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof SluiceError)) return { error: String(error) };
  return { code: error.code, error: error.message, ...error.fields };
}
