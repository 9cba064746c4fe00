import { passengers } from '../../engine/exchange/exchange-format.ts';
import { SluiceError } from '../../engine/error.ts';
import type { QueryDefinition } from '../../engine/execution/query-definition.ts';
import { isValid, valueAt, type Column } from '../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { OnlineRow } from '../../engine/state/redis/online-values.ts';
import { onlineOperatorId, onlineWrite } from '../../engine/state/redis/online-task-state.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateWrite } from '../../engine/state/state-store.ts';
import { applyLogic } from '../../operators/stateful/apply-logic.ts';
import type { CheckedJob } from '../checked-job.ts';
import { onlineEntities, type OnlineEntity } from '../plan/online-entities.ts';

/** The entities whose latest values a job keeps online. */
export function keptOnline({ state, features }: CheckedJob): readonly OnlineEntity[] {
  const { online } = state;
  if (online === null) return [];
  return onlineEntities(features).filter(({ name }) => online.entities?.includes(name) ?? true);
}

/**
 * Refuses a job that keeps values online where there is no Redis. Called when a job is opened on the embedded profile.
 *
 * @throws {SluiceError} `ONLINE_NEEDS_REDIS`
 */
export function refuseOnline({ name, state }: CheckedJob): void {
  if (state.online === null) return;
  throw new SluiceError(
    'ONLINE_NEEDS_REDIS',
    `job ${name} must run with --profile cluster, since it keeps feature values online, in Redis; got the profile local. ` +
      'Leave "state: { online }" out of the job, or give it a Redis',
    { fields: { job: name } },
  );
}

/**
 * The query with a last step for each entity that notes the latest feature values of every key that came by, and hands them on with the state. What they go to is
 * `OnlineTaskState`'s affair. Called for the stage of a job in which every feature is there.
 */
export function withOnlineFeatures(query: QueryDefinition, entities: readonly OnlineEntity[]): QueryDefinition {
  if (entities.length === 0) return query;
  return {
    ...query,
    openSection: (start, state) => {
      const section = query.openSection(start, state);
      const logics = entities.map((entity) => new OnlineFeatures(entity));
      const steps = logics.map((logic) => ({ operator: applyLogic(logic, state), fate: 'keeps' as const }));
      return { ...section, steps: [...section.steps, ...steps], logics: [...section.logics, ...logics] };
    },
  };
}

/**
 * Notes the latest feature values of each key since the state was last taken: those of the record that is last in the stream's total order, (event time,
 * partition, offset), as the record was answered. It reads no state and changes no record.
 */
class OnlineFeatures implements StatefulLogic {
  readonly operatorId: string;
  readonly #entity: OnlineEntity;
  #latest = new Map<string, OnlineRow>();

  constructor(entity: OnlineEntity) {
    this.operatorId = onlineOperatorId(entity.name);
    this.#entity = entity;
  }

  prefetch(): Promise<void> {
    return Promise.resolve();
  }

  apply(batch: RecordBatch): RecordBatch {
    const partitions = inputPartitions(batch);
    const keys = this.#entity.key.map((name) => columnOf(batch, name));
    /** Which row of the batch is the last of its key, in the total order. */
    const rows = new Map<string, number>();
    const isBefore = (a: number, b: number): boolean =>
      compare(positionOf(batch, partitions, a), positionOf(batch, partitions, b)) <= 0;
    for (let row = 0; row < batch.rowCount; row++) {
      const key = keyText(keys, row);
      if (key === null) continue;
      const before = rows.get(key);
      if (before === undefined || isBefore(before, row)) rows.set(key, row);
    }
    const columns = this.#entity.columns.map((name) => ({
      name,
      column: columnOf(batch, name),
      type: typeOf(batch, name),
    }));
    for (const [key, row] of rows) {
      const position = positionOf(batch, partitions, row);
      const known = this.#latest.get(key);
      if (known !== undefined && compare(known, position) > 0) continue;
      const fields = columns.flatMap(({ name, column, type }) =>
        isValid(column, row) ? [name, valueText(column, row, type)] : [],
      );
      this.#latest.set(key, { key, ...position, fields });
    }
    return batch;
  }

  takeChanges(): readonly StateWrite[] {
    const writes = [...this.#latest.values()].map((row) => onlineWrite(this.#entity.name, row));
    this.#latest = new Map();
    return writes;
  }

  dropChanges(): void {
    this.#latest = new Map();
  }
}

type Position = Pick<OnlineRow, 'eventTimeMs' | 'partition' | 'offset'>;

/** In a stage behind an exchange, a batch's own partitions are those of the tasks that passed the records on. */
function inputPartitions(batch: RecordBatch): ArrayLike<number> {
  if (batch.schema.indexOf(passengers.inputPartition) < 0) return batch.partitions;
  const column = columnOf(batch, passengers.inputPartition);
  return column.kind === 'number' ? column.values : batch.partitions;
}

function positionOf(batch: RecordBatch, partitions: ArrayLike<number>, row: number): Position {
  return {
    eventTimeMs: batch.eventTimesMs[row] ?? 0,
    partition: partitions[row] ?? 0,
    offset: batch.offsets[row] ?? 0,
  };
}

function compare(a: Position, b: Position): number {
  return a.eventTimeMs - b.eventTimeMs || a.partition - b.partition || a.offset - b.offset;
}

/** The key as it stands in the hash's name: one field's value as it is, several percent-encoded and joined by `+`. `null` where a field is. */
function keyText(columns: readonly Column[], row: number): string | null {
  const texts: string[] = [];
  for (const column of columns) {
    const value = valueAt(column, row);
    if (value === null) return null;
    texts.push(String(value));
  }
  return texts.length === 1 ? (texts[0] ?? null) : texts.map(encodeURIComponent).join('+');
}

function typeOf(batch: RecordBatch, name: string): string {
  return batch.schema.field(name)?.type ?? 'double';
}

/** Numbers as JavaScript writes them, which loses no bit of a float64; booleans as words, timestamps in milliseconds. */
function valueText(column: Column, row: number, type: string): string {
  const value = valueAt(column, row);
  return type === 'boolean' ? String(value !== 0) : String(value);
}
