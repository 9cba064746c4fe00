import type { Schema } from '../../engine/record/schema.ts';
import type { RollingDefinition } from '../../operators/rolling/rolling-definition.ts';
import { retentionMs } from '../feature-plan.ts';
import { aggregateSql } from './aggregate-sql.ts';
import { compactedSql, paneStartSql, panesToSql } from './panes-sql.ts';
import type { SqlNameOf } from './sql-names.ts';

/** A rolling operator, its input's schema, and what SQL calls the columns. */
export interface RollingStepSql {
  readonly definition: RollingDefinition;
  readonly schema: Schema;
  readonly nameOf: SqlNameOf;
}

/**
 * A rolling operator as a table expression: the former step with the operator's columns added.
 *
 * Each record gathers the records of its key within reach of its windows, and keeps those that it may see: itself, and every record that
 * came before it, was not itself late, and that the watermark had not passed by more than the operator's retention when this record came
 * (semantics, "Rolling features" and "State's life"). Then each aggregate is an array function over them. The former step is read
 * once, so that a long chain of steps stays a query of the same length.
 */
export function rollingSql(name: string, former: string, step: RollingStepSql): string {
  const { definition, schema, nameOf } = step;
  const panes = definition.panes ?? null;
  const retained = retentionMs(definition) - (panes?.sizeMs ?? 0);
  const horizon = `_n._watermark_ms - ${retained}`;
  // ClickHouse's frames end at 2^31, which in milliseconds are 24 days; so rows are gathered by the second, and cut exactly afterwards.
  const reachSeconds = Math.ceil((retentionMs(definition) - definition.allowedLatenessMs) / 1_000);
  const key = definition.key.map(nameOf);
  const compacts = panes?.aboveRecords !== undefined;
  const panesTo =
    panes === null || compacts ? '' : ` ${panesToSql(definition, panes, '_n._watermark_ms')} AS _panes_to_ms,`;
  const source = panes !== null && compacts ? compactedSql(former, definition, panes, key) : former;
  const hasKey = key.map((column) => `isNotNull(_s.${column})`).join(' AND ');
  const read = new Set(definition.aggregates.flatMap(({ input, where }) => [input, where]));
  const elements = ['_seq', '_time_ms', '_watermark_ms'];
  for (const column of read) if (column !== null) elements.push(nameOf(column));
  const aggregates = definition.aggregates.flatMap((aggregate) => {
    const inputType = aggregate.input === null ? null : (schema.field(aggregate.input)?.type ?? null);
    return aggregateSql(aggregate, inputType, nameOf, hasKey, panes);
  });
  return `${name} AS (
  SELECT _s.* EXCEPT (_near, _seen${panes === null ? '' : ', _panes_to_ms'}),
    ${aggregates.map(({ name: column, sql }) => `${sql} AS ${nameOf(column)}`).join(',\n    ')}
  FROM (
    SELECT _n.*,${panesTo}
      arraySort(_x -> (_x._time_ms, _x._seq), arrayFilter(_x -> _x._seq = _n._seq OR (_x._seq < _n._seq AND _x._time_ms <= _n._time_ms
        AND ifNull(_x._time_ms >= _x._watermark_ms - ${retained}, true)    -- was not late
        AND ifNull(_x._time_ms > ${panes === null ? horizon : paneStartSql(horizon, panes)}, true)),   -- was still kept
        if(${key.map((column) => `isNull(_n.${column})`).join(' OR ')}, [], _n._near))) AS _seen
    FROM (
      SELECT *, groupArray(tuple(${elements.join(', ')})) OVER (
        PARTITION BY ${key.join(', ')}
        ORDER BY toInt64(floor(_time_ms / 1000)) RANGE BETWEEN ${reachSeconds} PRECEDING AND CURRENT ROW) AS _near
      FROM ${source}
    ) AS _n
  ) AS _s
)`;
}
