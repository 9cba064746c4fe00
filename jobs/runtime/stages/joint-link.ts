import { Schema } from '../../../engine/record/schema.ts';
import type { InputsPlan } from '../../plan/inputs-plan.ts';

/**
 * Where records meet on a cluster: an exchange, and the stage behind it that does something with all of them. A job of several inputs has one, or several one behind the other, each of which is given
 * the results of the one before.
 */
export interface JointLink {
  /** What keeps records together there, as the stage calls it. */
  readonly key: readonly string[];
  /** Of the exchange; `null`: as the job says. */
  readonly partitions: number | null;
  /**
   * For each input of the job, the columns by whose values its records are placed; a table's go everywhere, so that any of its keys is found wherever it is looked up. `null` for an input whose
   * records do not come here.
   */
  readonly places: readonly (readonly string[] | 'everywhere' | null)[];
  /** The columns by whose values the results of the link before are placed; `null` for the first. */
  readonly results: readonly string[] | null;
  /** Which of the job's joins are done there, one behind the other: from the one of the first number up to the one before the second. */
  readonly joins: { readonly from: number; readonly to: number };
}

/** The columns of the records that meet in a link: those that all inputs share and, of the results of the link before, their key and event time. Any of them is null in the records of some. */
export function linkSchema({ schema, join }: InputsPlan, { results, joins }: JointLink): Schema {
  const before = join === null || results === null ? undefined : [...join.before, join][joins.from - 1];
  const added = before?.outputSchema.fields.filter(({ name }) => schema.indexOf(name) < 0) ?? [];
  return added.length === 0 ? schema : new Schema([...schema.fields, ...added]);
}

/** How many kinds of partitions a link is read from, by which they are numbered (`engine/source/merged/input-partition.ts`): the inputs' and, last, those that the results of the link before come from. */
export function sidesOf({ inputs }: InputsPlan, { results }: JointLink): number {
  return inputs.length + (results === null ? 0 : 1);
}
