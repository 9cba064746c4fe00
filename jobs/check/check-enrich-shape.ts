import { z } from 'zod';
import type { AsOf, Missing } from '../../operators/enrich/enrich-definition.ts';

/** What an item of `enrich:` holds. */
export interface EnrichPart {
  readonly table: string;
  readonly on: string;
  readonly fields?: readonly string[] | undefined;
  readonly asOf?: AsOf | undefined;
  readonly missing?: Missing | undefined;
}

const name = z.string().min(1);

/** The keys of an item of `enrich:`. */
export const enrichPart: z.ZodType<EnrichPart> = z.strictObject({
  table: name.meta({ description: 'one of "tables"' }),
  on: name.meta({ description: "the record's field that is looked up in the table's key" }),
  fields: z.array(name).min(1).optional().meta({ description: 'what records are given; default all but the key' }),
  asOf: z.enum(['event-time', 'latest']).optional().meta({
    description:
      "which version: the newest that is not later than the record's event time (the default), or the one that came last; of those that came before the record",
  }),
  missing: z.enum(['keep', 'drop']).optional().meta({
    description: 'what becomes of a record whose key the table has not: it has nulls (the default), or is filtered out',
  }),
});
