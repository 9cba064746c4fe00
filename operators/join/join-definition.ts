import type { Field, Schema } from '../../engine/record/schema.ts';

/** Which records come out without a partner, too: none, those of the left input, of the right, of both. */
export type JoinKind = 'inner' | 'left' | 'right' | 'full';

/** One side of a join. */
export interface JoinSide {
  /** Which input its records are of. */
  readonly input: number;
  /** The key's columns, in order. */
  readonly key: readonly string[];
  /** What is kept of its records, and comes out. */
  readonly columns: readonly string[];
}

/**
 * A join of two inputs on a key and an interval of event time. Frozen plain data; its columns exist in the schema that all inputs share, which the plan has checked.
 *
 *     left                     l
 *     right  ──────|═══════════╪═════════════════|──────▶  event time
 *               l − beforeMs            l + afterMs        both ends belong to it
 */
export interface JoinDefinition {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  readonly kind: JoinKind;
  readonly left: JoinSide;
  readonly right: JoinSide;
  /** What the key's columns are called in the results: the values of whichever side is there. */
  readonly key: readonly string[];
  /** A right record is a partner when its event time is in `[left − beforeMs, left + afterMs]`. */
  readonly beforeMs: number;
  readonly afterMs: number;
  /** How long behind the watermark a record may still come, and its partners are kept for it. */
  readonly allowedLatenessMs: number;
  /** How far each input's watermark is behind the newest record of a partition: tells where it stands behind each record. */
  readonly delaysMs: readonly number[];
}

/** The column of the common schema that says which input a record is of, by its number; where it is null, the record only moves the watermark. */
export const inputColumn = '(input)';

/** The results' column of event time: that of the later of the two records. */
export const eventTimeColumn = 'event_time';

/** The schema of a join's results: the key, the event time, the left record's columns, the right one's. Called once, when the plan is made. */
export function joinFields(definition: Omit<JoinDefinition, 'delaysMs'>, schema: Schema): readonly Field[] {
  const { left, right, key, kind } = definition;
  const fieldOf = (name: string, from: string, isAlwaysThere: boolean): Field => {
    const field = schema.field(from);
    const type = field?.type ?? 'string';
    return { name, type, presence: isAlwaysThere && field?.presence === 'required' ? 'required' : 'optional' };
  };
  const hasLeft = kind === 'inner' || kind === 'left';
  const hasRight = kind === 'inner' || kind === 'right';
  return [
    ...key.map((name, part) => fieldOf(name, left.key[part] ?? '', kind === 'inner')),
    { name: eventTimeColumn, type: 'timestamp', presence: 'required' },
    ...left.columns.map((name) => fieldOf(name, name, hasLeft)),
    ...right.columns.map((name) => fieldOf(name, name, hasRight)),
  ];
}
