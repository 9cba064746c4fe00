import { formatDuration } from '../../engine/time/duration.ts';
import type { Tolerance, WatchedColumn } from '../../operators/amend/amend-definition.ts';
import { layOutAmend } from '../../operators/amend/amend-layout.ts';
import type { CheckedJob } from '../checked-job.ts';

/** The operator that amends decisions. */
export interface AmendDescription {
  readonly operator: 'amend';
  readonly id: string;
  readonly topic: string;
  readonly format: string;
  readonly withinMs: number;
  /** How long behind the watermark records are kept: as far as decisions are watched, and windows reach from there. */
  readonly keepsMs: number;
  /** Whose watermark lets them go: each partition's, or the least of all. */
  readonly closedBy: 'partition' | 'query';
  readonly watched: readonly WatchedColumn[];
  /** Whether every feature is watched. */
  readonly watchesAll: boolean;
  /** Whether the job's model scores the features before and after. */
  readonly scores: 'before and after' | 'none';
  /** How many records of each key are kept at most; `null` for as many as there are. */
  readonly maxRecordsPerKey: number | null;
  /** Of the stored state, for each record that is kept, without texts. */
  readonly bytes: { readonly perRecord: number; readonly formula: string };
}

/** Bytes of a record's place and times in the store; see `operators/amend/kept-record.ts`. */
const headBytes = 12 + 1 + 1 + 3 * 8 + 4 + 4 + 4;
const numberBytes = 8;

/** Describes a job's amendments; nothing for a job that has none. */
export function describeAmendments({ amendments, features }: CheckedJob): readonly AmendDescription[] {
  if (amendments === null) return [];
  const { topic, format, definition, scores } = amendments;
  const { operatorId: id, withinMs, closedBy, watched, maxRecordsPerKey = null } = definition;
  const { keepsMs, numbers, texts } = layOutAmend(definition, features.inputSchema);
  const perRecord = headBytes + numbers * numberBytes;
  const textBytes = texts === 0 ? '' : ` + ${texts} × (1 + 4 + their bytes)`;
  const watchesAll = watched.length === definition.features.length;
  return [
    {
      operator: 'amend',
      id,
      topic,
      format,
      withinMs,
      keepsMs,
      closedBy,
      watched,
      watchesAll,
      scores,
      maxRecordsPerKey,
      bytes: { perRecord, formula: `records × (${perRecord}${textBytes}), and the values as told, where they differ` },
    },
  ];
}

/** The lines of `explain` about amendments. */
export function amendLines(description: AmendDescription): readonly string[] {
  const { id, topic, format, withinMs, keepsMs, closedBy, watched, watchesAll, scores, maxRecordsPerKey, bytes } =
    description;
  const texts = watched.map(({ column, tolerance }) => ({ column, by: toleranceText(tolerance) }));
  const same = texts.every(({ by }) => by === texts[0]?.by);
  const which =
    watchesAll && same
      ? `any feature ${texts[0]?.by ?? ''}`
      : texts.map(({ column, by }) => `${column} ${by}`).join(', ');
  const whose = closedBy === 'partition' ? "its partition's watermark" : 'the least watermark of all partitions';
  return [
    `amend   ${id}`,
    `  tells a decision anew, to the topic ${topic}, ${format}, when a late record has moved ${which}`,
    `  watches decisions for ${formatDuration(withinMs)} behind ${whose}`,
    ...(closedBy === 'query' ? [`  needs --profile local: records of one entity come from several partitions`] : []),
    ...(scores === 'none'
      ? []
      : ['  scores the features that were told and those that are known, with the model at hand']),
    `  state  ${bytes.perRecord} bytes + texts, for each record of the last ${formatDuration(keepsMs)}, all of it in memory`,
    ...(maxRecordsPerKey === null
      ? []
      : [
          `  holds  the newest ${maxRecordsPerKey} records of each key; decisions of a key with as many are watched only while their windows are among those`,
        ]),
  ];
}

function toleranceText(tolerance: Tolerance): string {
  if (tolerance.kind === 'absolute') return tolerance.by === 0 ? 'at all' : `by more than ${tolerance.by}`;
  return tolerance.share === 0 ? 'at all' : `by more than ${Number((tolerance.share * 100).toPrecision(12))}%`;
}
