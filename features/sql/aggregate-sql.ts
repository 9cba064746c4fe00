import type { FieldType } from '../../engine/record/schema.ts';
import type { RollingAggregate } from '../../operators/rolling/rolling-definition.ts';
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
 * @param hasKey SQL that is true where the record has a key: without one it has no window, and even a count is null.
 */
export function aggregateSql(
  aggregate: RollingAggregate,
  inputType: FieldType | null,
  nameOf: SqlNameOf,
  hasKey: string,
): readonly AggregateSql[] {
  const { name, delayMs, halfLifeMs } = aggregate;
  const value = aggregate.input === null ? '' : `x.${nameOf(aggregate.input)}`;
  const window = windowSql(aggregate, nameOf);
  const inWindow = `arrayFilter(x -> ${window}, s._seen)`;
  const given = `arrayFilter(x -> ${window} AND isNotNull(${value}), s._seen)`;
  const number = inputType === 'boolean' ? `toFloat64(${value})` : value;
  const reduced = (reducer: string, element: string = number): string =>
    `arrayReduce('${reducer}OrNull', arrayMap(x -> ${element}, ${inWindow}))`;
  const one = (sql: string): readonly AggregateSql[] => [{ name, sql }];
  switch (aggregate.function) {
    case 'count':
      return one(`if(${hasKey}, toFloat64(arrayCount(x -> ${window}, s._seen)), NULL)`);
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
      return one(`nullIf(toFloat64(arrayUniq(arrayMap(x -> assumeNotNull(${value}), ${given}))), 0)`);
    case 'sinceLast':
      return one(`${reduced('min', 's._time_ms - x._time_ms')} / 1000`);
    case 'decayedSum': {
      const age = delayMs === 0 ? '(s._time_ms - x._time_ms)' : `(s._time_ms - ${delayMs} - x._time_ms)`;
      return one(`finite(${reduced('sum', `${number} * exp2(-${age} / ${halfLifeMs ?? 1})`)})`);
    }
  }
}

/** Whether a record takes part: `t − delay − over < x.t ≤ t − delay`, and the record itself only where it is included. */
function windowSql({ overMs, delayMs, current, where }: RollingAggregate, nameOf: SqlNameOf): string {
  const conditions = [`x._time_ms > s._time_ms - ${delayMs + overMs}`];
  if (delayMs > 0) conditions.push(`x._time_ms <= s._time_ms - ${delayMs}`);
  else if (current === 'exclude') conditions.push('x._seq < s._seq');
  if (where !== null) conditions.push(`ifNull(x.${nameOf(where)}, false)`);
  return conditions.join(' AND ');
}
