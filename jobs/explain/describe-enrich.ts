import { formatDuration } from '../../engine/time/duration.ts';
import type { EnrichDefinition } from '../../operators/enrich/enrich-definition.ts';
import type { InputsPlan } from '../plan/inputs-plan.ts';

/** A look-up in a table, as `explain` shows it. */
export interface EnrichDescription {
  readonly operator: 'enrich';
  readonly id: string;
  readonly table: string;
  readonly on: string;
  readonly key: string;
  readonly columns: readonly string[];
  readonly asOf: EnrichDefinition['asOf'];
  readonly missing: EnrichDefinition['missing'];
  /** How long behind the stream's watermark a version is kept that a newer one has replaced. */
  readonly retentionMs: number;
}

/** Describes a look-up. Called by `describeJob`. */
export function describeEnrich(definition: EnrichDefinition, { inputs }: InputsPlan): EnrichDescription {
  const { operatorId, table, on, key, columns, asOf, missing, allowedLatenessMs } = definition;
  const name = inputs[table]?.name ?? '';
  return {
    operator: 'enrich',
    id: operatorId,
    table: name,
    on,
    key,
    columns,
    asOf,
    missing,
    retentionMs: allowedLatenessMs,
  };
}

/** The operator in lines of text. */
export function enrichLines({
  id,
  on,
  key,
  columns,
  asOf,
  missing,
  retentionMs,
}: EnrichDescription): readonly string[] {
  const version =
    asOf === 'latest'
      ? 'the version that came last'
      : "the newest version that is not later than the record's event time";
  const kept =
    asOf === 'latest'
      ? 'the last version of each key'
      : `the versions of each key since the watermark${retentionMs === 0 ? '' : ` less ${formatDuration(retentionMs)}`}, and the newest before it`;
  return [
    `enrich  ${id}  ${on} = ${key}: ${columns.join(', ')}`,
    `  as of  ${version}, of those that were read before it; the order of the two is recorded by the commit`,
    `  without one  the record ${missing === 'keep' ? 'has nulls' : 'is filtered out, and counted'}`,
    `  state  ${kept}, for ever`,
  ];
}
