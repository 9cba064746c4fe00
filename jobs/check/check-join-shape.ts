import { z } from 'zod';
import { durationText } from '../../engine/plan/duration-text.ts';
import type { JoinKind } from '../../operators/join/join-definition.ts';

/** One field, or several, by which records of two inputs belong together. */
export type JoinFields = string | readonly string[];

/** What `join:` holds. Durations are in milliseconds. */
export interface JoinPart {
  readonly id?: string | undefined;
  /** Absent where what was joined before is. */
  readonly left?: string | undefined;
  readonly right: string;
  readonly on: JoinFields | { readonly left: JoinFields; readonly right: JoinFields };
  readonly within: { readonly before?: number | undefined; readonly after?: number | undefined };
  readonly kind?: JoinKind | undefined;
  readonly where?: string | undefined;
}

const name = z.string().min(1);
const fields = z.union([name, z.array(name).min(1).max(8)]);

const within = z
  .strictObject({
    before: durationText('zero').optional(),
    after: durationText('zero').optional(),
  })
  .meta({
    description:
      "how much earlier (before) or later (after) than the left record's event time the right one's may be; what is not said is 0s",
  });

const common = {
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'a name of letters, digits, "_" and "-", at most 100')
    .optional()
    .meta({ description: 'names the state; default join, of further joins join-2, join-3 …' }),
  right: name.meta({ description: 'another of them' }),
  on: z
    .union([fields, z.strictObject({ left: fields, right: fields })])
    .meta({ description: 'the field, or fields, by which records belong together; left and right where they differ' }),
  within,
  kind: z.enum(['inner', 'left', 'right', 'full']).optional().meta({
    description: 'which records come out without a partner, too, once none can come any more; default inner: none',
  }),
  where: name.optional().meta({
    description:
      'what must hold for two records to be partners, beside key and time: "payments.amount >= orders.amount"',
  }),
};

const { id, ...others } = common;

const firstJoin = z.strictObject({ id, left: name.meta({ description: 'one of "sources"' }), ...others });

/** The keys of `join:`: two inputs, or a list, whose later items join what was joined before them with another input. */
export const joinPart: z.ZodType<JoinPart | readonly JoinPart[]> = z.union([
  firstJoin,
  z
    .tuple([firstJoin], z.strictObject(common))
    .meta({ description: 'joins one behind the other: what comes out of each is the left side of the next' }),
]);
