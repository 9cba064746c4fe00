import { z } from 'zod';

/** What `flatMap:` holds. */
export interface FlatMapPart {
  readonly from: string;
  readonly as: string;
  readonly separator?: string | undefined;
}

/** The keys of `flatMap:`. */
export const flatMapPart: z.ZodType<FlatMapPart> = z.strictObject({
  from: z.string().min(1).meta({ description: 'a text field that holds a list as JSON, or between separators' }),
  as: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_]*$/, 'a letter, then letters, digits and _')
    .meta({ description: 'the field of an item, behind the record’s own; a text' }),
  separator: z.string().min(1).optional().meta({ description: 'what is between items; without it, the list is JSON' }),
});
