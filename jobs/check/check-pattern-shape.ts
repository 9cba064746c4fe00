import { z } from 'zod';
import { durationText } from '../../engine/plan/duration-text.ts';

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'a name of letters, digits, "_" and "-", at most 100');
const key = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(8)])
  .meta({ description: 'the field, or fields, whose records belong together' });
const expression = z.string().min(1);

/** What `sessions:` holds. Durations are in milliseconds. */
export interface SessionsPart {
  readonly id?: string | undefined;
  readonly key: string | readonly string[];
  readonly gap: number;
  readonly forget?: number | undefined;
}

/** The keys of `sessions:`. */
export const sessionsPart: z.ZodType<SessionsPart> = z.strictObject({
  id: id.optional().meta({ description: 'names the state; default sessions' }),
  key,
  gap: durationText('positive').meta({
    description: "a record this long after the newest of its key's session begins another one",
  }),
  forget: durationText('positive').optional().meta({
    description:
      'how long after its newest record a key is forgotten, and its sessions numbered from 1 again; default 30d',
  }),
});

/** What `pattern:` holds. Durations are in milliseconds. */
export interface PatternPart {
  readonly id?: string | undefined;
  readonly key: string | readonly string[];
  readonly first: string;
  readonly followedBy: string;
  readonly within: number;
  readonly select: Readonly<Record<string, string>>;
}

/** The keys of `pattern:`. */
export const patternPart: z.ZodType<PatternPart> = z.strictObject({
  id: id.optional().meta({ description: 'names the state; default pattern' }),
  key,
  first: expression.meta({ description: 'the records that begin a match: a condition' }),
  followedBy: expression.meta({
    description: 'the later record that completes it: a condition, which may read the first one as first.FIELD',
  }),
  within: durationText('positive').meta({ description: 'the later record comes less than this after the first one' }),
  select: z.record(z.string(), expression).meta({
    description:
      'what is published of a match beside its key, as expressions by name over the later record and first.FIELD',
    minProperties: 1,
  }),
});
