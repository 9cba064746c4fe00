import { strict as assert } from 'node:assert';
import type { StateEntry, StateScanStep, StateWrite } from '../state-store.ts';
import type { OnlineRow, OnlineValues } from './online-values.ts';
import type { TaskClaim, TaskState, TaskStateAnswer, TaskStateWrite } from './task-state.ts';

const prefix = 'online ';
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The "operator" under which an entity's online values leave a section. */
export function onlineOperatorId(entity: string): string {
  return prefix + entity;
}

/** An online row as a write of state: absolute, as every one is. */
export function onlineWrite(entity: string, row: OnlineRow): StateWrite {
  const { key, eventTimeMs, partition, offset, fields } = row;
  const value = encoder.encode(JSON.stringify([eventTimeMs, partition, offset, ...fields]));
  return { operatorId: onlineOperatorId(entity), key: encoder.encode(key), value };
}

/**
 * A task's state with the online values of its keys taken out of each step and written to hashes of their own, before the step.
 *
 *   commit in Kafka → online values of [S, X) → state at X
 *
 * The state is written only once the log has committed, so the values are of committed records; and it moves to X only once they are there, so a crash in between
 * leaves the state at S, and the next owner's silent replay of [S, C) answers the same records again and writes their values with its first step.
 */
export class OnlineTaskState implements TaskState {
  readonly #state: TaskState;
  readonly #online: OnlineValues;

  constructor(state: TaskState, online: OnlineValues) {
    this.#state = state;
    this.#online = online;
  }

  claim(minEpoch: number): Promise<TaskClaim> {
    return this.#state.claim(minEpoch);
  }

  async write(step: TaskStateWrite): Promise<TaskStateAnswer> {
    const own: StateWrite[] = [];
    const rows = new Map<string, OnlineRow[]>();
    for (const write of step.writes) {
      if (!write.operatorId.startsWith(prefix)) {
        own.push(write);
        continue;
      }
      const entity = write.operatorId.slice(prefix.length);
      const ofEntity = rows.get(entity);
      if (ofEntity === undefined) rows.set(entity, [rowOf(write)]);
      else ofEntity.push(rowOf(write));
    }
    for (const [entity, ofEntity] of rows) await this.#online.write(entity, ofEntity);
    return this.#state.write({ ...step, writes: own });
  }

  getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    return this.#state.getMany(operatorId, keys);
  }

  scan(operatorId: string): AsyncIterable<StateEntry> {
    return this.#state.scan(operatorId);
  }

  scanSome(operatorId: string, from: string | null, aboutKeys: number): Promise<StateScanStep> {
    return this.#state.scanSome(operatorId, from, aboutKeys);
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#state[Symbol.asyncDispose]();
  }
}

function rowOf({ key, value }: StateWrite): OnlineRow {
  assert(value !== null, 'online values are never deleted');
  const [eventTimeMs, partition, offset, ...fields] = JSON.parse(decoder.decode(value)) as [
    number,
    number,
    number,
    ...string[],
  ];
  return { key: decoder.decode(key), eventTimeMs, partition, offset, fields };
}
