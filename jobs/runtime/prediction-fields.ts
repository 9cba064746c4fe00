import type { Schema } from '../../engine/record/schema.ts';
import type { OutputField } from '../../engine/serde/encoder.ts';
import type { FeatureColumn } from '../../features/feature-plan.ts';
import { reasonsColumn } from './explain-alerts.ts';

/** The fields that the published example of a prediction begins with; those that the job has come first, in this order. */
const leadingFields = ['transaction_id', 'amount', 'rolling_avg_7d', 'amount_to_avg_ratio'];

/** Who made a prediction, as each prediction says. */
export interface PredictionModel {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly featureSetDigest: string;
  readonly threshold: number;
  /** The features that it was given, in its order. */
  readonly features: readonly string[];
}

const column = (name: string, from: string = name): OutputField => ({ name, value: { kind: 'column', column: from } });
const constant = (name: string, value: string | number): OutputField => ({ name, value: { kind: 'constant', value } });

/**
 * What a prediction holds: the published example's fields, the decision and who made it, where and when the record stood, and the feature vector as the object
 * `features`, so that a decision can be explained, and a model retrained, from the topic alone.
 *
 * @param schema the scored records'.
 * @param keys the record's identifying columns (the topic's key, the entities), which follow the leading fields.
 */
export function predictionFields(
  schema: Schema,
  model: PredictionModel,
  keys: readonly string[],
): readonly OutputField[] {
  const leading = leadingFields.filter((name) => schema.indexOf(name) >= 0);
  const further = keys.filter((name) => !leading.includes(name));
  return [
    ...leading.map((name) => column(name)),
    column('prediction'),
    column('probability'),
    constant('threshold', model.threshold),
    ...further.map((name) => column(name)),
    { name: 'event_time', value: { kind: 'event-time' } },
    constant('model', model.name),
    constant('model_version', model.version),
    constant('model_digest', model.digest),
    constant('feature_set_digest', model.featureSetDigest),
    ...(schema.indexOf(reasonsColumn) < 0 ? [] : [reasonsField]),
    ...positionFields,
    ...model.features.map((name) => column(`features.${name}`, name)),
  ];
}

/** What a record of a job without a model holds: its own fields and its features. */
export function featureFields(schema: Schema, features: readonly FeatureColumn[]): readonly OutputField[] {
  const own = schema.fields.filter(({ name }) => !name.startsWith('(') && !features.some((f) => f.name === name));
  return [
    ...own.map(({ name }) => column(name)),
    ...positionFields,
    ...features.map(({ name }) => column(`features.${name}`, name)),
  ];
}

/** What the result of a join holds in a job without a model: its own fields and its features. Several may come of one record, so none has its position. */
export function joinedFields(schema: Schema, features: readonly FeatureColumn[]): readonly OutputField[] {
  const own = schema.fields.filter(({ name }) => !name.startsWith('(') && !features.some((f) => f.name === name));
  return [...own.map(({ name }) => column(name)), ...features.map(({ name }) => column(`features.${name}`, name))];
}

const reasonsField: OutputField = { name: reasonsColumn, value: { kind: 'json', column: reasonsColumn } };

const positionFields: readonly OutputField[] = [
  { name: 'source_partition', value: { kind: 'position', of: 'partition' } },
  { name: 'source_offset', value: { kind: 'position', of: 'offset' } },
  { name: 'late', value: { kind: 'flag', flag: 'late' } },
  { name: 'degraded', value: { kind: 'flag', flag: 'degraded' } },
];
