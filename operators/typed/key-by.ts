import { map } from 'rxjs';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { NamesOf } from './fields.ts';
import { streamOperator, type Shape, type StreamOperator } from './stream-operator.ts';
import { checkFields } from './stream-plan.ts';

/**
 * Says by which fields the operators behind it keep their state, until the next `keyBy`. Records of a key that is not the topic's come from several partitions, whose interleaving the
 * commits record.
 *
 * @throws {SluiceError} `FIELD_UNKNOWN` when it is piped.
 */
export function keyBy<S extends Shape, const K extends NamesOf<S['row'], string | number>>(
  ...fields: readonly [K, ...K[]]
): StreamOperator<S, { row: S['row']; key: K }> {
  return streamOperator((before) => {
    checkFields(before, fields, 'keyBy');
    return {
      plan: { ...before, key: fields },
      meaning: ['key', fields],
      again: 'anywhere',
      open: () => ({ kind: 'step', step: { operator: map((batch: RecordBatch) => batch), fate: 'keeps' }, logics: [] }),
    };
  });
}

/**
 * Says that the windows behind it are of all records together: Flink's `windowAll`. For windows alone; other operators keep their state by a key.
 */
export function keyAll<S extends Shape>(): StreamOperator<S, { row: S['row']; key: never }> {
  return streamOperator((before) => ({
    plan: { ...before, key: [] },
    meaning: ['key', []],
    again: 'anywhere',
    open: () => ({ kind: 'step', step: { operator: map((batch: RecordBatch) => batch), fate: 'keeps' }, logics: [] }),
  }));
}
