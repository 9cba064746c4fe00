/** Identifiers of the thing an error is about; values are short and never hold card numbers, secrets or record contents. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | null>>;

/** What a {@link SluiceError} is made of besides its message. */
export interface SluiceErrorOptions {
  /** `transient` errors may be tried again as they are; `permanent` ones need a person or another input first. */
  readonly retryable?: 'transient' | 'permanent';
  /** Ids as fields: topic, partition, offset, job, operator, file … */
  readonly fields?: ErrorFields;
  /** The error underneath, where there is one. */
  readonly cause?: unknown;
}

/**
 * An error of the world (bad input, a dead service, a full disk), as opposed to a bug of ours, which is an `assert`.
 *
 * Whoever meets the world throws it; the runtime catches it once, at the query's edge, and either retries
 * (`retryable === 'transient'`), dead-letters the record, or stops the query by name. Nobody logs *and* throws.
 *
 * `code` is stable and upper-case with underscores (`TOPIC_MISSING`); people search for it and tests assert on it.
 * `message` has the form "`thing` must …; got …" or "could not <verb> <object>: <cause>; <what to do>".
 */
export class SluiceError extends Error {
  readonly code: string;
  readonly retryable: 'transient' | 'permanent';
  readonly fields: ErrorFields;

  constructor(code: string, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SluiceError';
    this.code = code;
    this.retryable = options.retryable ?? 'permanent';
    this.fields = options.fields ?? {};
  }
}

/** The message of anything that was thrown, for use as the `<cause>` part of another error's sentence. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
