import { SluiceError } from '../../error.ts';
import { nearestName } from '../../plan/nearest-name.ts';
import type { DeadLetterStage } from '../../record/dead-letter.ts';
import type { Field } from '../../record/schema.ts';
import type { ColumnBinding } from './file-source-options.ts';

/** Whether a record without the field is a dead letter. */
export function isNeeded(field: Field, options: ColumnBinding): boolean {
  return (
    field.presence === 'required' || field.name === options.eventTimeField || options.keyFields.includes(field.name)
  );
}

/** The stage under which a field at fault is told. */
export function stageOf(field: Field, options: ColumnBinding): DeadLetterStage {
  if (field.name === options.eventTimeField) return 'event-time';
  return options.keyFields.includes(field.name) ? 'key' : 'decode';
}

/**
 * Finds each field's column in a file that names its columns once. Called when the file is opened, so that a job over the wrong file ends before it
 * begins rather than in a flood of dead letters.
 *
 * @returns for each field of the schema the position in `columns`, or -1 for an optional field that the file has not: it is null in every record.
 * @throws {SluiceError} `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN` when the options name fields that the schema has not; `COLUMN_MISSING` when the file lacks
 * columns that records cannot be without; all of them are named at once.
 */
export function bindColumns(options: ColumnBinding, columns: readonly string[]): readonly number[] {
  const { path, schema, eventTimeField, keyFields } = options;
  const eventTimeType = eventTimeField === null ? null : (schema.field(eventTimeField)?.type ?? 'no such field');
  if (eventTimeType !== null && eventTimeType !== 'timestamp') {
    throw new SluiceError(
      'EVENT_TIME_FIELD_INVALID',
      `the event time field "${eventTimeField}" must be a timestamp field of the schema; got ${eventTimeType}`,
    );
  }
  const unknownKey = keyFields.find((name) => schema.indexOf(name) < 0);
  if (unknownKey !== undefined) {
    throw new SluiceError(
      'KEY_FIELD_UNKNOWN',
      `the key field "${unknownKey}" must be a field of the schema; got a schema of ${schema.fields.map((field) => field.name).join(', ')}`,
    );
  }
  const missing = schema.fields.filter((field) => isNeeded(field, options) && !columns.includes(field.name));
  if (missing.length > 0) {
    const wanted = missing.map((field) => {
      const nearest = nearestName(field.name, columns);
      return nearest === null ? `"${field.name}"` : `"${field.name}" (did you mean "${nearest}"?)`;
    });
    throw new SluiceError(
      'COLUMN_MISSING',
      `file ${path} must have the column${missing.length > 1 ? 's' : ''} ${wanted.join(', ')}; got ${columns.join(', ')}`,
      { fields: { file: path } },
    );
  }
  return schema.fields.map((field) => columns.indexOf(field.name));
}
