import { z } from 'zod';
import { durationText } from '../../engine/plan/duration-text.ts';
import type { Tolerance } from '../../operators/amend/amend-definition.ts';

/** What `amendments:` holds. Durations are in milliseconds. */
export interface AmendPart {
  readonly topic: string;
  readonly format?: 'json' | 'avro' | undefined;
  /** Of every feature, or of those that are named, by name. */
  readonly tolerance: Tolerance | { readonly of: Readonly<Record<string, Tolerance>> };
  readonly within: number;
  readonly maxRecordsPerKey?: number | undefined;
  readonly rescore?: boolean | undefined;
}

const share = z
  .string()
  .regex(/^\d+(\.\d+)?%$/, 'a share such as 5%')
  .meta({ examples: ['5%', '0.5%'] })
  .transform((text): Tolerance => ({ kind: 'relative', share: Number.parseFloat(text) / 100 }));

const amount = z
  .number()
  .min(0)
  .transform((by): Tolerance => ({ kind: 'absolute', by }));

/** The keys of `amendments:`. */
export const amendPart: z.ZodType<AmendPart> = z.strictObject({
  topic: z.string().min(1).meta({ description: 'where amendments go, in the same commit as the answers' }),
  format: z.enum(['json', 'avro']).optional().meta({ description: 'of the topic; default json' }),
  tolerance: z.union([share, amount, z.record(z.string(), z.union([share, amount])).transform((of) => ({ of }))]).meta({
    description:
      'how far a feature may be off before its decision is amended: a share of what was told (5%), or an amount (0.5); for all features, or by name for those that are looked at',
  }),
  within: durationText('positive').meta({
    description: 'how far behind the watermark, in event time, decisions are watched',
  }),
  rescore: z.boolean().optional().meta({
    description: "whether the job's model scores the features before and after; the amendment then has both scores",
  }),
  maxRecordsPerKey: z.int().min(1).optional().meta({
    description:
      'how many records of each key are kept at most, the newest; the decisions of a key that holds as many are watched only as far back as all of their windows are kept',
  }),
});
