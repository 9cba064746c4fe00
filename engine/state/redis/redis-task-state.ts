import { strict as assert } from 'node:assert';
import { SluiceError } from '../../error.ts';
import type { StateEntry, StateScanStep, StateWrite } from '../state-store.ts';
import { checkRedisKeepsState } from './check-redis.ts';
import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';
import { claimScript, forgetScript, readScript, scanScript, writeScript } from './state-scripts.ts';
import {
  stateWentBack,
  taskFenced,
  type TaskClaim,
  type TaskState,
  type TaskStateAnswer,
  type TaskStateWrite,
} from './task-state.ts';

/** Redis takes at most 1,048,576 arguments in a command; a value is two, and the rest has room. */
const maxWrites = 500_000;
const scanBatchKeys = 1_000;

/** Whose state it is, and which owner claims it. */
export interface RedisTaskStateOptions {
  /** Names the task: `app.job.topic-partition`, the same for every owner. Holds no braces, which would move it to another hash slot. */
  readonly task: string;
  /** Names this owner and no other, ever: a random text. */
  readonly owner: string;
}

const answers: Readonly<Record<string, TaskStateAnswer>> = {
  OK: 'ok',
  ALREADY: 'already',
  MISMATCH: 'mismatch',
  FENCED: 'fenced',
};

function bytes(view: Uint8Array): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

/** An offset as the scripts compare it: `null` is none. */
function offsetText(offset: number | null): string {
  return offset === null ? '' : String(offset);
}

/**
 * A task's state in Redis: `sluice:{TASK}` is its header, `sluice:{TASK}:OPERATOR` a hash of that operator's keys. The braces put all of it
 * in one hash slot of a Redis Cluster, which is what lets one script write it.
 *
 * The connection is shared and stays open when this is disposed of.
 */
export class RedisTaskState implements TaskState {
  readonly #client: RedisClient;
  readonly #task: string;
  readonly #owner: string;
  readonly #header: string;
  #epoch: number | null = null;
  #offset: number | null = null;
  /** Where a write that was sent, and not answered yet, may have taken the state. */
  #writingTo: number | null = null;

  constructor(client: RedisClient, { task, owner }: RedisTaskStateOptions) {
    assert(!/[{}]/.test(task), `a task's name must hold no braces: ${task}`);
    this.#client = client;
    this.#task = task;
    this.#owner = owner;
    this.#header = `sluice:{${task}}`;
  }

  async claim(minEpoch: number): Promise<TaskClaim> {
    await checkRedisKeepsState(this.#client);
    const [epoch, offset, metadata, torn] = (await this.#client
      .eval(claimScript, 1, this.#header, this.#owner, String(minEpoch))
      .catch((error: unknown) => this.#fail('claim', error))) as [
      number,
      string | null,
      string | null,
      (readonly string[] | null)?,
    ];
    this.#epoch = epoch;
    this.#writingTo = null;
    if (torn !== null && torn !== undefined) {
      await this.#forget(torn);
      this.#offset = null;
      return { epoch, offset: null, metadata: null };
    }
    this.#offset = offset === null ? null : Number(offset);
    return { epoch, offset: this.#offset, metadata };
  }

  /** Deletes a state of which a part is from a write that the rest of it never saw. */
  async #forget(hashes: readonly string[]): Promise<void> {
    const args = [this.#header, ...hashes, this.#owner, String(this.#claimed)];
    const answer = await this.#client
      .eval(forgetScript, 1 + hashes.length, ...args)
      .catch((error: unknown) => this.#fail('clear', error));
    if (answer === 'OK') return;
    throw answer === 'FENCED' ? taskFenced(this.#task) : stateWentBack(this.#task);
  }

  async write({ to, metadata, writes }: TaskStateWrite): Promise<TaskStateAnswer> {
    if (writes.length > maxWrites) {
      throw new SluiceError(
        'STATE_FLUSH_TOO_LARGE',
        `one flush of the state of ${this.#task} must change at most ${maxWrites} keys; got ${writes.length}. Flush more often, or take more partitions`,
        { fields: { task: this.#task, writes: writes.length } },
      );
    }
    const groups = groupByOperator(writes);
    const command: (string | Buffer)[] = [writeScript, String(1 + groups.size), this.#header];
    for (const operatorId of groups.keys()) command.push(this.#operatorKey(operatorId));
    command.push(this.#owner, String(this.#claimed), offsetText(this.#offset), offsetText(to), metadata);
    for (const changes of groups.values()) appendChanges(command, changes);
    this.#writingTo = to;
    // As one array: a call with a hundred thousand arguments would overflow the stack.
    const answer = await this.#client.call('eval', command).catch((error: unknown) => this.#fail('write', error));
    this.#writingTo = null;
    const outcome = answers[String(answer)];
    assert(outcome !== undefined, `the write script answers one of four words, not ${String(answer)}`);
    if (outcome === 'ok' || outcome === 'already') this.#offset = to;
    return outcome;
  }

  async getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    return keys.length === 0 ? [] : this.#read(operatorId, keys);
  }

  /** Also with no keys at all: whether the state still stands where this owner believes it to stand. */
  async #read(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    return (await this.#ask(readScript, operatorId, keys.map(bytes))) as (Buffer | null)[];
  }

  async scanSome(operatorId: string, from: string | null, aboutKeys: number): Promise<StateScanStep> {
    const answer = await this.#ask(scanScript, operatorId, [from ?? '0', String(aboutKeys)]);
    const [cursor, found] = answer as [Buffer, Buffer[]];
    const next = cursor.toString();
    return { entries: entriesOf(found), next: next === '0' ? null : next };
  }

  /** Runs a script that answers with a list only where the state stands where this owner believes it to stand. */
  async #ask(script: string, operatorId: string, args: readonly (string | Buffer)[]): Promise<readonly unknown[]> {
    const offset = offsetText(this.#offset);
    const writingTo = this.#writingTo === null ? offset : offsetText(this.#writingTo);
    const command: (string | Buffer)[] = [script, '2', this.#header, this.#operatorKey(operatorId)];
    command.push(this.#owner, String(this.#claimed), offset, writingTo);
    for (const arg of args) command.push(arg);
    const answer = await this.#client.callBuffer('eval', command).catch((error: unknown) => this.#fail('read', error));
    if (Array.isArray(answer)) return answer;
    throw String(answer) === 'FENCED' ? taskFenced(this.#task) : stateWentBack(this.#task);
  }

  async *scan(operatorId: string): AsyncIterable<StateEntry> {
    const entries: StateEntry[] = [];
    let cursor = '0';
    do {
      const [next, found] = await this.#client
        .hscanBuffer(this.#operatorKey(operatorId), cursor, 'COUNT', scanBatchKeys)
        .catch((error: unknown) => this.#fail('scan', error));
      cursor = next.toString();
      for (const entry of entriesOf(found)) entries.push(entry);
    } while (cursor !== '0');
    // A store that went back before or meanwhile has given the past; nothing of it may be believed.
    await this.#read(operatorId, []);
    yield* sortedOnce(entries);
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {}

  get #claimed(): number {
    assert(this.#epoch !== null, 'a task claims its state before it reads or writes it');
    return this.#epoch;
  }

  #operatorKey(operatorId: string): string {
    return `${this.#header}:${operatorId}`;
  }

  #fail(action: string, error: unknown): never {
    throw redisFailure(`${action} the state of ${this.#task}`, error);
  }
}

/** Keys and values in turn, as HSCAN gives them. */
function entriesOf(found: readonly Buffer[]): StateEntry[] {
  const entries: StateEntry[] = [];
  for (let i = 0; i + 1 < found.length; i += 2) {
    const [key, value] = [found[i], found[i + 1]];
    if (key !== undefined && value !== undefined) entries.push({ key, value });
  }
  return entries;
}

/** Redis may give a key twice while its table grows; the values are the same, as nobody writes during a scan. */
function sortedOnce(entries: StateEntry[]): readonly StateEntry[] {
  entries.sort((a, b) => Buffer.compare(a.key, b.key));
  return entries.filter((entry, i) => i === 0 || Buffer.compare(entry.key, entries[i - 1]?.key ?? entry.key) !== 0);
}

function groupByOperator(writes: readonly StateWrite[]): ReadonlyMap<string, readonly StateWrite[]> {
  const groups = new Map<string, StateWrite[]>();
  for (const write of writes) {
    const group = groups.get(write.operatorId);
    if (group === undefined) groups.set(write.operatorId, [write]);
    else group.push(write);
  }
  return groups;
}

function appendChanges(args: (string | Buffer)[], changes: readonly StateWrite[]): void {
  const sets: Buffer[] = [];
  const deletes: Buffer[] = [];
  for (const { key, value } of lastOfEachKey(changes)) {
    if (value === null) deletes.push(bytes(key));
    else sets.push(bytes(key), bytes(value));
  }
  args.push(String(sets.length / 2), String(deletes.length));
  for (const item of sets) args.push(item);
  for (const item of deletes) args.push(item);
}

/** The script sets first and deletes then, so a key that was deleted and came back within one flush must be sent as it is in the end. */
function lastOfEachKey(changes: readonly StateWrite[]): Iterable<StateWrite> {
  const hasDeletes = changes.some(({ value }) => value === null);
  return hasDeletes
    ? new Map(changes.map((change) => [bytes(change.key).toString('latin1'), change])).values()
    : changes;
}
