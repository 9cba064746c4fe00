import { z } from 'zod';
import { SluiceError } from '../../engine/error.ts';

const unitInterval = z.number().gt(0).lte(1);

/**
 * Every knob of the trainer with its default and limits. The one source: the type, the check, the job file's section and the manifest
 * all come from it. Names are plain words; XGBoost's are in the descriptions, and the meaning is XGBoost's.
 */
export const trainingParamsSchema: z.ZodObject<{
  treeCount: z.ZodDefault<z.ZodNumber>;
  maxDepth: z.ZodDefault<z.ZodNumber>;
  learningRate: z.ZodDefault<z.ZodNumber>;
  l2: z.ZodDefault<z.ZodNumber>;
  minChildWeight: z.ZodDefault<z.ZodNumber>;
  minSplitGain: z.ZodDefault<z.ZodNumber>;
  rowSample: z.ZodDefault<z.ZodNumber>;
  columnSample: z.ZodDefault<z.ZodNumber>;
  positiveWeight: z.ZodDefault<z.ZodUnion<readonly [z.ZodNumber, z.ZodLiteral<'balanced'>]>>;
  maxBins: z.ZodDefault<z.ZodNumber>;
  seed: z.ZodDefault<z.ZodNumber>;
  earlyStopping: z.ZodOptional<
    z.ZodObject<{
      metric: z.ZodEnum<{ 'average-precision': 'average-precision'; 'log-loss': 'log-loss' }>;
      patienceTrees: z.ZodNumber;
    }>
  >;
}> = z.strictObject({
  treeCount: z.number().int().min(1).max(5_000).default(150).describe('Trees at most (num_boost_round)'),
  maxDepth: z.number().int().min(1).max(12).default(4).describe('Splits between root and leaf at most (max_depth)'),
  learningRate: unitInterval.default(0.05).describe('Share of each tree that is kept (eta)'),
  l2: z.number().min(0).default(1).describe('Pull of leaf values towards zero (lambda)'),
  minChildWeight: z
    .number()
    .min(0)
    .default(1)
    .describe('Least sum of second derivatives in a child (min_child_weight)'),
  minSplitGain: z.number().min(0).default(0).describe('Least gain that is worth a split (gamma)'),
  rowSample: unitInterval.default(1).describe('Share of rows that each tree sees (subsample)'),
  columnSample: unitInterval.default(1).describe('Share of features that each tree may split on (colsample_bytree)'),
  positiveWeight: z
    .union([z.number().gt(0), z.literal('balanced')])
    .default(1)
    .describe(
      'Weight of a positive row against a negative one (scale_pos_weight); "balanced" makes both classes weigh the same',
    ),
  maxBins: z.number().int().min(2).max(255).default(255).describe('Bins that a feature is cut into (max_bin)'),
  seed: z.number().int().min(0).max(4_294_967_295).default(0).describe('Where the sampling starts from'),
  earlyStopping: z
    .strictObject({
      metric: z.enum(['average-precision', 'log-loss']),
      patienceTrees: z.number().int().min(1).describe('Trees without a better validation score after which to stop'),
    })
    .optional()
    .describe('Keeps the number of trees that was best on the validation rows'),
});

/** Parameters with every default filled in; what a manifest records. */
export type TrainingParams = z.output<typeof trainingParamsSchema>;

/** Parameters as a person writes them: whatever is left out takes its default. */
export type TrainingParamsInput = z.input<typeof trainingParamsSchema>;

/**
 * Fills in the defaults and refuses values out of range. Every entrance to the trainer calls it.
 *
 * @throws {SluiceError} `TRAINING_PARAMS_INVALID`, naming each parameter that is wrong.
 */
export function readTrainingParams(input: TrainingParamsInput): TrainingParams {
  const result = trainingParamsSchema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'params'}: ${issue.message}`);
  throw new SluiceError('TRAINING_PARAMS_INVALID', `training parameters must be in range; got ${problems.join('; ')}`);
}
