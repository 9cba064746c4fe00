import { SluiceError } from '../../engine/error.ts';
import type { Rejection } from '../../engine/execution/rejected-records.ts';

const asyncCode = 'FUNCTION_ASYNC';

/** What becomes of a record that a person's function throws on: a dead letter, or the end of the query. */
export type ErrorPolicy = 'dead-letter' | 'fail';

/**
 * What a dead letter says of an error that a person's function threw. The message of an error may hold the record's values, which no dead letter may carry outside its bytes
 * (exactly-once, I13), so only the error's kind is told; a {@link SluiceError} that the function threw on purpose speaks for itself.
 */
export function rejectionOf(operatorId: string, thrown: unknown): Rejection {
  if (thrown instanceof SluiceError) return { code: thrown.code, message: thrown.message };
  const kind = thrown instanceof Error ? thrown.name : typeof thrown;
  return { code: 'FUNCTION_FAILED', message: `the function of operator ${operatorId} threw a ${kind}` };
}

/**
 * The error that ends a query whose functions may not fail.
 *
 * @param place where it happened, in words: `at partition 0, offset 7`.
 */
export function functionFailed(operatorId: string, place: string, thrown: unknown): SluiceError {
  const { code, message } = rejectionOf(operatorId, thrown);
  return new SluiceError('FUNCTION_FAILED', `${message} ${place} (${code}): mend the function, or the record`, {
    fields: { operator: operatorId },
    cause: thrown,
  });
}

/** Whether an error is of the job and not of the record, so that no record may be set aside for it. */
export function isOfTheJob(thrown: unknown): boolean {
  return thrown instanceof SluiceError && thrown.code === asyncCode;
}

/**
 * Refuses what an async function gives back: what it would do later happens after the record, and a replay could not repeat it.
 *
 * @throws {SluiceError} `FUNCTION_ASYNC`
 */
export function refusePromise(operatorId: string, given: unknown): void {
  if (!(given instanceof Promise)) return;
  // Nobody will wait for it; what it ends with is told by the error below.
  given.catch(() => undefined);
  throw new SluiceError(
    asyncCode,
    `the function of operator ${operatorId} must be done when it returns, so that a replay does the same; got a promise: look things up by enrichment, or before the job`,
    { fields: { operator: operatorId } },
  );
}
