import { z } from 'zod';
import { durationText } from '../../engine/plan/duration-text.ts';

/** A record to give: fields by name, or text that is sent as it is. */
export type GivenRow = Readonly<Record<string, unknown>> | string;

/** What a step of a test may hold. Its keys are worked off in the order in which they are written. */
export interface StepPart {
  readonly partition?: number | undefined;
  readonly given?: readonly GivenRow[] | undefined;
  readonly advanceClock?: number | undefined;
  readonly advanceWatermark?: number | undefined;
  readonly crash?: 'now' | undefined;
  readonly stop?: 'now' | undefined;
  readonly restart?: 'now' | undefined;
  readonly expect?: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly expectLate?: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly expectAmendments?: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly expectDeadLetters?: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly expectLedger?: Readonly<Record<string, number | undefined>> | undefined;
  readonly expectFailure?: string | undefined;
}

/** What a test holds: steps, or those of one step at once. */
export interface TestPart extends StepPart {
  readonly name: string;
  readonly order?: 'as written' | 'any' | undefined;
  readonly steps?: readonly StepPart[] | undefined;
}

/** What a test file holds. */
export interface TestFileParts {
  readonly job?: string | undefined;
  readonly partitions?: number | undefined;
  readonly defaults?: Readonly<Record<string, unknown>> | undefined;
  readonly tests: readonly TestPart[];
}

/** The keys of a step that say what is done, or expected. */
export const stepKeys = [
  'given',
  'advanceClock',
  'advanceWatermark',
  'crash',
  'stop',
  'restart',
  'expect',
  'expectLate',
  'expectAmendments',
  'expectDeadLetters',
  'expectLedger',
  'expectFailure',
] as const;

const record = z.record(z.string(), z.unknown());

const instant: z.ZodType<number, string> = z
  .string()
  .meta({ examples: ['2026-11-22T12:00:00Z'] })
  .transform((text, context) => {
    const instantMs = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
    if (!Number.isNaN(instantMs)) return instantMs;
    const params = { expected: 'an instant with its offset, such as 2026-11-22T12:00:00Z' };
    context.addIssue({ code: 'custom', message: `"${text}" is no instant`, params });
    return z.NEVER;
  });

const now = (description: string): z.ZodType<'now' | undefined> => z.literal('now').optional().meta({ description });
const count = z.int().min(0).optional();

const step = {
  partition: z.int().min(0).optional().meta({ description: 'where "given" goes; default: by the key' }),
  given: z
    .array(z.union([record, z.string()]))
    .optional()
    .meta({
      description:
        'records, as fields by name over "defaults"; of a job of several inputs, { orders: {…} }; a text is sent with just those bytes',
    }),
  advanceClock: durationText('positive')
    .optional()
    .meta({ description: 'moves the clock on: state is flushed by it; event time is not touched' }),
  advanceWatermark: instant.optional().meta({ description: "moves every partition's watermark up to an instant" }),
  crash: now('the process dies: what was only in memory is gone'),
  stop: now('the job is stopped in good order'),
  restart: now('the job is started again, over the same topics and state'),
  expect: z.array(record).optional().meta({
    description:
      'the rows that were written since the last "expect", in order; only the fields that are named are looked at, `features.x` is a field of an object, and { near: 2.24, within: 0.005 } a number that need not be exact',
  }),
  expectLate: z.array(record).optional().meta({
    description: 'the same of the topic of late records, for a job that has one',
  }),
  expectAmendments: z.array(record).optional().meta({
    description: 'the same of the topic of amendments, for a job that has one',
  }),
  expectDeadLetters: z.array(record).optional().meta({
    description:
      'the dead letters that were written since they were last expected: code, stage, offset, value (as text)',
  }),
  expectLedger: z
    .strictObject({ read: count, scored: count, filtered: count, duplicate: count, late: count, deadLettered: count })
    .optional()
    .meta({ description: 'what became of all records so far' }),
  expectFailure: z.string().optional().meta({ description: 'the code of the error that the job has ended with' }),
};

const test: z.ZodType<TestPart> = z.strictObject({
  name: z.string().min(1).meta({ description: 'what must be so, as a sentence' }),
  order: z
    .enum(['as written', 'any'])
    .optional()
    .meta({ description: 'in which order rows must come; default as written' }),
  ...step,
  steps: z
    .array(z.strictObject(step))
    .min(1)
    .optional()
    .meta({ description: 'one after another; default: the keys beside' }),
});

/** A whole test file. `load-test-file.ts` checks with it, and the JSON Schema for editors is made of it. */
export const testFile: z.ZodType<TestFileParts> = z
  .strictObject({
    job: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'the job file, beside this one; default: its name without ".test"' }),
    partitions: z.int().min(1).max(64).optional().meta({ description: "of the job's input; default 1" }),
    defaults: record.optional().meta({ description: 'fields of every record that does not say otherwise' }),
    tests: z.array(test).min(1),
  })
  .meta({ title: 'Sluice tests', description: 'Records that a job is given, and what it must make of them' });
