import { z } from 'zod';
import type { ThresholdPolicy } from '../evaluation/choose-threshold.ts';

/** Rows that a model was trained or judged on. */
export interface RowRange {
  /** First event time that may be in it, ISO 8601 in UTC. */
  readonly from: string;
  /** The event time that it ends before. */
  readonly to: string;
  readonly rowCount: number;
  readonly positiveCount: number;
}

/** One model input. */
export interface ManifestFeature {
  readonly name: string;
  /** What the model is given where the feature is null; `null` means NaN, on which its trees were trained. */
  readonly default: number | null;
}

/**
 * Everything about a model version that is not in its trees: what it takes, what it was made from, how good it was, and from where on
 * it alerts. Stands beside the model as `manifest.json` and never changes.
 */
export interface ModelManifest {
  /** Of this file's format. */
  readonly format: 1;
  readonly name: string;
  readonly version: number;
  /** When it was published, ISO 8601 in UTC. The only wall-clock time there is: none goes into the model's bytes. */
  readonly createdAt: string;
  readonly trainedOn: RowRange;
  /** Rows after the training range that the threshold, the calibration and the metrics come from; `null` for a model from elsewhere. */
  readonly validatedOn: RowRange | null;
  /** Inputs in the model's order. */
  readonly features: readonly ManifestFeature[];
  /** Digest of the declarations that these features are computed by; the plan refuses a job whose features have another. */
  readonly featureSetDigest: string;
  /** Figures by name, such as `averagePrecision`. */
  readonly metrics: Readonly<Record<string, number>>;
  /** A transaction is an alert iff its probability is at least `value`. */
  readonly threshold: { readonly value: number; readonly policy: ThresholdPolicy };
  /** The trainer's name, and every parameter it was given, seed included: with the same rows they make the same bytes. */
  readonly trainer: { readonly name: string; readonly params: Readonly<Record<string, z.core.util.JSONType>> };
  /** SHA-256 of `model.onnx`, 64 hex digits. */
  readonly modelDigest: string;
}

const instant = z.iso.datetime();
const rowRange = z.strictObject({
  from: instant,
  to: instant,
  rowCount: z.number().int().min(0),
  positiveCount: z.number().int().min(0),
});
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');

const thresholdPolicy: z.ZodType<ThresholdPolicy> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('f-beta'), beta: z.number().positive() }),
  z.strictObject({ kind: z.literal('capacity'), cardsPerDay: z.number().positive() }),
  z.strictObject({ kind: z.literal('cost'), costPerAlert: z.number().min(0) }),
  z.strictObject({ kind: z.literal('fixed'), value: z.number() }),
]);

/** What a model may be called: it becomes a folder's name and the part before the `@` of a reference. */
export const modelNamePattern: RegExp = /^[a-z][a-z0-9-]{0,62}$/;

/** The manifest's shape; the registry checks every manifest against it, on writing and on reading. */
export const modelManifestSchema: z.ZodType<ModelManifest> = z.strictObject({
  format: z.literal(1),
  name: z.string().regex(modelNamePattern, 'must be lower-case letters, digits and hyphens'),
  version: z.number().int().min(1),
  createdAt: instant,
  trainedOn: rowRange,
  validatedOn: rowRange.nullable(),
  features: z
    .array(z.strictObject({ name: z.string().min(1), default: z.number().nullable() }))
    .min(1)
    .refine(
      (features) => new Set(features.map(({ name }) => name)).size === features.length,
      'must have different names',
    ),
  featureSetDigest: z.string().min(1),
  metrics: z.record(z.string(), z.number()),
  threshold: z.strictObject({ value: z.number(), policy: thresholdPolicy }),
  trainer: z.strictObject({ name: z.string().min(1), params: z.record(z.string(), z.json()) }),
  modelDigest: digest,
});
