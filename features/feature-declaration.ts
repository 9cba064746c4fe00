import { z } from 'zod';
import { durationText } from '../engine/plan/duration-text.ts';
import type { RollingFunction } from '../operators/rolling/rolling-definition.ts';

const expression = z
  .string()
  .min(1)
  .meta({ description: 'an expression over the fields of a record and other features' });

type Verbs = Record<Exclude<RollingFunction, 'count' | 'sinceLast'>, z.ZodString> & {
  count: z.ZodLiteral<true>;
  sinceLast: z.ZodUnion<readonly [z.ZodLiteral<true>, z.ZodString]>;
};

/** The verbs of a rolling feature: each takes what it aggregates. Their order is that of the published JSON Schema. */
const rollingVerbs: Verbs = {
  count: z.literal(true).meta({ description: 'how many records; 0 for an empty window' }),
  sum: expression,
  avg: expression.meta({ description: 'the mean' }),
  min: expression,
  max: expression,
  stddev: expression.meta({ description: 'the sample standard deviation; null for fewer than two values' }),
  first: expression.meta({ description: 'the oldest value' }),
  last: expression.meta({ description: 'the newest value' }),
  distinct: expression.meta({ description: 'how many different values' }),
  sinceLast: z
    .union([z.literal(true), z.string()])
    .meta({ description: 'seconds since the newest record: true, or the event-time field' }),
  lastN: expression.meta({ description: 'the newest n values, as columns name_1 (the newest) to name_n' }),
  decayedSum: expression.meta({ description: 'the sum, each value halved for every halfLife of its age' }),
};

/** What a feature computes: `expr` over one record, or one of the rolling functions over the records of a window. */
export const featureVerbs: readonly FeatureVerb[] = [...(Object.keys(rollingVerbs) as RollingFunction[]), 'expr'];

/** The name of what a feature computes, as a key of its declaration. */
export type FeatureVerb = RollingFunction | 'expr';

const longestWindow = durationText('positive').meta({ description: 'the length of the window: (t - over, t]' });

/** How a feature's records are kept: `exact`, or the length of the panes. */
export const resolutionDeclaration: z.ZodType<number | 'exact', string> = z
  .union([z.literal('exact'), durationText('positive')])
  .meta({
    description:
      'exact (the default): each record is kept. Or the size of panes, such as 1h, for keys with millions of records: the window then begins at the start of a pane',
  });

/** From how many records on a key of an exact feature is kept in panes, and in which. */
export const compactDeclaration: z.ZodType<CompactDeclaration, { above: number; to: string }> = z
  .strictObject({
    above: z.int().min(1).meta({ description: 'a key is compacted while it holds more records than this' }),
    to: durationText('positive').meta({ description: 'the size of the panes' }),
  })
  .meta({
    description:
      'exact for keys with few records; a key with more is kept in panes, and its windows then begin at the start of one',
  });

/** As it was written, the panes' size in milliseconds. */
export interface CompactDeclaration {
  readonly above: number;
  readonly to: number;
}

/** One feature as it is written. Exactly one verb is there; `check-declaration.ts` says so in words. */
export const featureDeclaration: z.ZodObject<FeatureShape, z.core.$strict> = z
  .strictObject({
    ...rollingVerbs,
    expr: expression.meta({ description: 'an expression of this record: arithmetic, comparisons, functions' }),
    over: longestWindow,
    delay: durationText('zero').meta({ description: 'how long ago the window ends: what was known that long ago' }),
    current: z.enum(['include', 'exclude']).meta({ description: 'whether the record is in its own window' }),
    resolution: resolutionDeclaration,
    compact: compactDeclaration,
    where: expression.meta({ description: 'only records for which this is true take part' }),
    n: z.int().min(1).max(100),
    halfLife: durationText('positive'),
    default: z.number().meta({ description: 'what the model gets where the feature is null' }),
    description: z.string(),
  })
  .partial()
  .meta({
    id: 'feature',
    anyOf: featureVerbs.map((verb) => ({ required: verb === 'expr' ? [verb] : [verb, 'over'] })),
  });

type Shape = Verbs & {
  expr: z.ZodString;
  over: z.ZodType<number, string>;
  delay: z.ZodType<number, string>;
  current: z.ZodEnum<{ include: 'include'; exclude: 'exclude' }>;
  resolution: z.ZodType<number | 'exact', string>;
  compact: z.ZodType<CompactDeclaration, { above: number; to: string }>;
  where: z.ZodString;
  n: z.ZodInt;
  halfLife: z.ZodType<number, string>;
  default: z.ZodNumber;
  description: z.ZodString;
};

/** The keys of a feature's declaration, all optional to zod. */
export type FeatureShape = { [Key in keyof Shape]: z.ZodOptional<Shape[Key]> };

/** One feature as it was written, durations in milliseconds. */
export type FeatureDeclaration = z.output<typeof featureDeclaration>;

const columnName = z.string().min(1);

/** Whose features a file declares: one column, or the columns of a composite key. */
export const entityDeclaration: z.ZodType<string | string[]> = z
  .union([columnName, z.array(columnName).min(1).max(8)])
  .meta({ description: 'the field, or the list of fields, whose records a rolling feature is computed over' });

/** A file of features. `features/*.yaml` have this form; the JSON Schema for editors is made of it. */
export const featureFile: z.ZodType = z
  .strictObject({
    entity: entityDeclaration.optional(),
    resolution: resolutionDeclaration.optional(),
    compact: compactDeclaration.optional(),
    features: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/), featureDeclaration),
  })
  .meta({ title: 'Sluice features', description: 'The features of one entity, or of the record itself' });
