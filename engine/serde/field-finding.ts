import type { DeadLetter, DeadLetterStage } from '../record/dead-letter.ts';
import { messageValue, type MessageBatch } from '../record/message-batch.ts';
import type { Field } from '../record/schema.ts';
import type { FieldRules } from './record-rules.ts';

/**
 * What a decoder found of one field in one record, as a byte in a table that is cleared for each record. Up to {@link NULL} the record may be
 * well; the others are what is wrong with it.
 */
export type FieldFinding = number;
/** Nothing was said of the field. */
export const ABSENT = 0;
/** A value that its type allows was written to its column. */
export const PRESENT = 1;
/** It is null. */
export const NULL = 2;
/** A string, where another type must stand. */
export const GOT_STRING = 3;
/** A number, likewise. */
export const GOT_NUMBER = 4;
/** A boolean, likewise. */
export const GOT_BOOLEAN = 5;
/** An object, a record or a map, likewise. */
export const GOT_OBJECT = 6;
/** An array, likewise. */
export const GOT_ARRAY = 7;
/** A number with a fraction, where it must be whole. */
export const GOT_FRACTION = 8;
/** A whole number of 2^53 or more. */
export const GOT_UNSAFE_LONG = 9;
/** NaN, an infinity, or a number too large for a double. */
export const GOT_NOT_FINITE = 10;
/** Text with an unpaired surrogate. */
export const GOT_SURROGATE = 11;
/** Text that names no instant. */
export const GOT_NO_INSTANT = 12;
/** An instant beyond what ECMAScript's dates reach. */
export const GOT_DISTANT_INSTANT = 13;
/** Bytes, where another type must stand. */
export const GOT_BYTES = 14;

/** A decimal with more digits than a double tells apart. */
export const GOT_UNSAFE_DECIMAL = 15;

/** Null, of a field that may be absent, but not null. */
export const GOT_NULL = 16;

/** The first and last instants there are, as ECMAScript's dates have them: 100 million days either side of the epoch. */
export const maxInstantMs = 8.64e15;

/** A dead letter's code and message. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

const expectations: Readonly<Record<Field['type'], string>> = {
  double: 'a finite number',
  long: 'a whole number',
  boolean: 'true or false',
  timestamp: 'whole milliseconds since the epoch, or an ISO 8601 instant with Z or an offset',
  string: 'a string or a number',
};

/** What is expected of a field whose rules allow but one form. */
const formExpectations: Readonly<Record<string, string>> = {
  'string text': 'a string',
  'timestamp text': 'an ISO 8601 instant with Z or an offset, as text',
  'timestamp number': 'whole milliseconds since the epoch',
};

const kinds: Readonly<Record<FieldFinding, string>> = {
  [GOT_STRING]: 'a string',
  [GOT_NUMBER]: 'a number',
  [GOT_BOOLEAN]: 'a boolean',
  [GOT_OBJECT]: 'an object',
  [GOT_ARRAY]: 'an array',
  [GOT_FRACTION]: 'a number with a fraction',
  [GOT_NO_INSTANT]: 'text of another form',
  [GOT_DISTANT_INSTANT]: 'an instant more than 100 million days from the epoch',
  [GOT_BYTES]: 'bytes',
  [GOT_NULL]: 'null',
};

/** What to say of a field at fault: names and shapes, never values. Called for a record that has already failed. */
export function problemOf(field: Field, finding: FieldFinding, form: FieldRules['form'] = 'any'): Problem {
  const subject = `field "${field.name}" must be`;
  const expected = formExpectations[`${field.type} ${form}`] ?? expectations[field.type];
  switch (finding) {
    case ABSENT:
      return { code: 'FIELD_MISSING', message: `${subject} present; got a record without it` };
    case NULL:
      return { code: 'FIELD_MISSING', message: `${subject} present; got null` };
    case GOT_UNSAFE_LONG:
      return {
        code: 'LONG_UNSAFE',
        message: `${subject} a whole number below 2^53 in magnitude; got a larger one (declare the field as string to keep every digit)`,
      };
    case GOT_UNSAFE_DECIMAL:
      return {
        code: 'DECIMAL_UNSAFE',
        message: `${subject} a decimal whose digits without the point make less than 2^53; got a larger one`,
      };
    case GOT_NOT_FINITE:
      return { code: 'NUMBER_NOT_FINITE', message: `${subject} a finite number; got NaN or an infinity` };
    case GOT_SURROGATE:
      return { code: 'TEXT_INVALID', message: `${subject} Unicode text; got an unpaired surrogate` };
    default:
      return { code: 'FIELD_TYPE', message: `${subject} ${expected}; got ${kinds[finding] ?? '?'}` };
  }
}

/** The dead letter of message `index`. */
export function deadLetterOf(
  messages: MessageBatch,
  index: number,
  stage: DeadLetterStage,
  problem: Problem,
): DeadLetter {
  return {
    topic: messages.topic,
    partition: messages.partitions[index] ?? 0,
    offset: messages.offsets[index] ?? 0,
    stage,
    code: problem.code,
    message: problem.message,
    value: messageValue(messages, index),
  };
}
