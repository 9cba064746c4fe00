import type { FieldType } from '../../engine/record/schema.ts';
import type { PaneRule, RollingAggregate } from '../../operators/rolling/rolling-definition.ts';
import { paneStartSql } from './panes-sql.ts';
import type { SqlNameOf } from './sql-names.ts';

/** One output column of an aggregate in SQL. */
export interface AggregateSql {
  readonly name: string;
  readonly sql: string;
}

/**
 * A rolling aggregate over `_seen`: the records of the same key that this record may see, itself among them, in order of event time and
 * arrival. Each is a tuple with `_seq`, `_time_ms` and the columns that aggregates read.
 *
 * @param inputType the type of the input column; `null` for functions without one.
 * @param panes whether windows begin, and those of degraded records end, at panes; then `_s._panes_to_ms` is up to where all is seen as whole panes, or null.
 * @param hasKey SQL that is true where the record has a key: without one it has no window, and even a count is null.
 */
export function aggregateSql(
  aggregate: RollingAggregate,
  inputType: FieldType | null,
  nameOf: SqlNameOf,
  hasKey: string,
  panes: PaneRule | null,
): readonly AggregateSql[] {
  const { name, delayMs, halfLifeMs } = aggregate;
  const value = aggregate.input === null ? '' : `_x.${nameOf(aggregate.input)}`;
  const window = windowSql(aggregate, nameOf, panes);
  const inWindow = `arrayFilter(_x -> ${window}, _s._seen)`;
  const given = `arrayFilter(_x -> ${window} AND isNotNull(${value}), _s._seen)`;
  const number = inputType === 'boolean' ? `toFloat64(${value})` : value;
  const reduced = (reducer: string, element: string = number): string =>
    `arrayReduce('${reducer}OrNull', arrayMap(_x -> ${element}, ${inWindow}))`;
  const one = (sql: string): readonly AggregateSql[] => [{ name, sql }];
  switch (aggregate.function) {
    case 'count':
      return one(`if(${hasKey}, toFloat64(arrayCount(_x -> ${window}, _s._seen)), NULL)`);
    case 'sum':
      return one(`finite(${reduced('sum')})`);
    case 'avg':
      return one(`finite(${reduced('avg')})`);
    case 'min':
      return one(reduced('min'));
    case 'max':
      return one(reduced('max'));
    case 'stddev':
      return one(`finite(${reduced('stddevSampStable')})`);
    case 'first':
      return one(`${given}[1].${nameOf(aggregate.input ?? '')}`);
    case 'last':
      return one(`${given}[-1].${nameOf(aggregate.input ?? '')}`);
    case 'lastN':
      return Array.from({ length: aggregate.n ?? 1 }, (_, index) => ({
        name: `${name}_${index + 1}`,
        sql: `${given}[-${index + 1}].${nameOf(aggregate.input ?? '')}`,
      }));
    case 'distinct':
      return one(`nullIf(toFloat64(arrayUniq(arrayMap(_x -> assumeNotNull(${value}), ${given}))), 0)`);
    case 'sinceLast':
      return one(`${reduced('min', '_s._time_ms - _x._time_ms')} / 1000`);
    case 'decayedSum': {
      const age = delayMs === 0 ? '(_s._time_ms - _x._time_ms)' : `(_s._time_ms - ${delayMs} - _x._time_ms)`;
      return one(`finite(${reduced('sum', `${number} * exp2(-${age} / ${halfLifeMs ?? 1})`)})`);
    }
  }
}

/**
 * Whether a record takes part: `t − delay − over < x.t ≤ t − delay`, and the record itself only where it is included. With panes the window begins at the start of the pane, and one that
 * ends where all is seen as whole panes ends there, too.
 */
function windowSql(
  { overMs, delayMs, current, where }: RollingAggregate,
  nameOf: SqlNameOf,
  panes: PaneRule | null,
): string {
  const end = delayMs === 0 ? '_s._time_ms' : `_s._time_ms - ${delayMs}`;
  const from = `_s._time_ms - ${delayMs + overMs}`;
  const conditions = [`_x._time_ms > ${panes === null ? from : lowSql(from, panes)}`];
  if (delayMs > 0) conditions.push(`_x._time_ms <= ${end}`);
  else if (current === 'exclude') conditions.push('_x._seq < _s._seq');
  if (panes !== null) {
    const own = delayMs === 0 ? '_x._seq = _s._seq OR ' : '';
    const isWhole = `_x._time_ms <= ${paneStartSql(end, panes)}`;
    conditions.push(`(${own}ifNull(${end} >= _s._panes_to_ms, true) OR ${isWhole})`);
  }
  if (where !== null) conditions.push(`ifNull(_x.${nameOf(where)}, false)`);
  return conditions.join(' AND ');
}

/** Where a window begins: a compacted key's only where it begins among the panes. */
function lowSql(from: string, panes: PaneRule): string {
  const start = paneStartSql(from, panes);
  return panes.aboveRecords === undefined ? start : `if(ifNull(${from} < _s._panes_to_ms, false), ${start}, ${from})`;
}
