import { z } from 'zod';
import { durationText } from '../../engine/plan/duration-text.ts';
import type { AggregateFunction } from '../../operators/aggregate/aggregate-spec.ts';

const expression = z.string().min(1).meta({ description: 'a field, or an expression over the fields of a record' });

/** The verbs of a window's aggregates: each takes what it aggregates. Their order is that of the published JSON Schema. */
const verbs: Record<Exclude<AggregateFunction, 'count' | 'top'>, z.ZodString> & {
  top: z.ZodArray<z.ZodString>;
  count: z.ZodUnion<readonly [z.ZodLiteral<true>, z.ZodString]>;
} = {
  count: z
    .union([z.literal(true), z.string().min(1)])
    .meta({ description: 'how many records: true; or how many that have a value' }),
  sum: expression,
  avg: expression.meta({ description: 'the mean' }),
  min: expression,
  max: expression,
  stddev: expression.meta({ description: 'the sample standard deviation; null for fewer than two values' }),
  variance: expression.meta({ description: 'the sample variance; null for fewer than two values' }),
  first: expression.meta({ description: 'the value of the earliest record' }),
  last: expression.meta({ description: 'the value of the latest record' }),
  distinct: expression.meta({ description: 'how many different values, exactly; keeps all of them' }),
  approxDistinct: expression.meta({ description: 'how many different values, by HyperLogLog; error: 0.02' }),
  quantile: expression.meta({ description: 'a quantile by DDSketch; q: 0.95, error: 0.01 (relative)' }),
  topK: expression.meta({ description: 'the k most frequent values with their counts, by Space-Saving' }),
  histogram: expression.meta({ description: 'how many values between boundaries' }),
  collect: expression.meta({ description: 'the values themselves, the earliest up to a limit' }),
  argMax: expression.meta({
    description: 'the value of the record in which "by" is greatest, of equal ones the earliest',
  }),
  argMin: expression.meta({
    description: 'the value of the record in which "by" is least, of equal ones the earliest',
  }),
  top: z
    .array(z.string().min(1))
    .min(1)
    .max(32)
    .meta({ description: 'these fields of the n records in which "by" is greatest, or least; n: 3' }),
};

/** The names of what an aggregate can compute. */
export const aggregateVerbs: readonly AggregateFunction[] = Object.keys(verbs) as AggregateFunction[];

type AggregateShape = typeof verbs & {
  where: z.ZodString;
  q: z.ZodNumber;
  error: z.ZodNumber;
  k: z.ZodInt;
  capacity: z.ZodInt;
  boundaries: z.ZodArray<z.ZodNumber>;
  limit: z.ZodInt;
  by: z.ZodString;
  n: z.ZodInt;
  order: z.ZodEnum<{ descending: 'descending'; ascending: 'ascending' }>;
  description: z.ZodString;
};

const aggregateDeclaration: z.ZodObject<{ [Key in keyof AggregateShape]: z.ZodOptional<AggregateShape[Key]> }> = z
  .strictObject({
    ...verbs,
    where: expression.meta({ description: 'only records for which this is true take part' }),
    q: z.number().min(0).max(1).meta({ description: 'which quantile: 0.5 is the median' }),
    error: z
      .number()
      .min(0.001)
      .max(0.3)
      .meta({ description: 'of approxDistinct: the standard error; of quantile: relative' }),
    k: z.int().min(1).max(1_000),
    capacity: z.int().min(1).max(10_000).meta({ description: 'of topK: how many values are counted; default 10 k' }),
    boundaries: z.array(z.number()).min(1).max(1_000).meta({ description: 'of histogram: ascending' }),
    limit: z.int().min(1).max(10_000).meta({ description: 'of collect: how many values are kept; default 100' }),
    by: z.string().min(1).meta({ description: 'of argMax, argMin and top: what records are ranked by, a number' }),
    n: z.int().min(1).max(1_000).meta({ description: 'of top: how many records' }),
    order: z
      .enum(['descending', 'ascending'])
      .meta({ description: 'of top: which come first; default descending, the greatest' }),
    description: z.string(),
  })
  .partial()
  .meta({ id: 'aggregate', oneOf: aggregateVerbs.map((verb) => ({ required: [verb] })) });

/** One aggregate as it is written. Exactly one verb is there; `check-window-aggregates.ts` says so in words. */
export type AggregateDeclaration = z.output<typeof aggregateDeclaration>;

/** Which keys say what windows there are; exactly one is there. */
export const windowKinds = ['tumbling', 'hopping', 'session', 'count'] as const;

/** What `windows:` holds. Durations are in milliseconds. */
export interface WindowsPart {
  readonly id?: string | undefined;
  /** Absent where the records of all keys are aggregated together. */
  readonly key?: string | readonly string[] | undefined;
  readonly tumbling?: number | undefined;
  readonly hopping?: { readonly size: number; readonly every: number } | undefined;
  readonly session?: { readonly gap: number } | undefined;
  readonly count?: number | undefined;
  readonly startTime?: number | undefined;
  readonly where?: string | undefined;
  readonly aggregates: Readonly<Record<string, AggregateDeclaration>>;
  readonly having?: string | undefined;
}

/** The keys of `windows:`. */
export const windowsPart: z.ZodType<WindowsPart> = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'a name of letters, digits, "_" and "-", at most 100')
      .optional()
      .meta({ description: 'names the state; default windows' }),
    key: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(8)])
      .optional()
      .meta({
        description: 'the field, or fields, whose records are aggregated together; without it, all records are',
      }),
    tumbling: durationText('positive').optional().meta({ description: 'windows of this length, side by side' }),
    hopping: z
      .strictObject({ size: durationText('positive'), every: durationText('positive') })
      .optional()
      .meta({ description: 'windows of "size" that start every "every" (Spark and Flink: sliding)' }),
    session: z
      .strictObject({ gap: durationText('positive') })
      .optional()
      .meta({ description: 'windows that last while records of a key come closer together than the gap' }),
    count: z.int().min(1).max(1_000_000).optional().meta({ description: 'windows of this many records of a key' }),
    startTime: durationText('zero').optional().meta({
      description: 'how long after the epoch tumbling and hopping windows are aligned to (Flink: offset); default 0s',
    }),
    where: expression.optional().meta({ description: 'only records for which this is true are in windows' }),
    aggregates: z
      .record(z.string(), aggregateDeclaration)
      .meta({ description: 'what is computed of each window, by name', minProperties: 1 }),
    having: z.string().min(1).optional().meta({ description: 'only results for which this is true are published' }),
  })
  .meta({ oneOf: windowKinds.map((kind) => ({ required: [kind] })) });
