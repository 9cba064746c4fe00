import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';
import { writeScript } from '../../../engine/state/redis/state-scripts.ts';
import type { Seams } from './planted-bug.ts';
import { task } from './simulated-job.ts';

const totals = `sluice:{${task}}:total`;

/** A client's `call`: a command and its arguments; of `eval`: a script, how many keys, the keys, the script's arguments. */
type Call = (command: string, args: (string | Buffer)[]) => Promise<unknown>;

/**
 * A client whose totals are written by commands of their own, as differences (HINCRBY), before the script writes the rest: the planted bug that `exactly-once.md`
 * names first among those that a re-sent command makes.
 */
export function relativeWrites(client: RedisClient, { redis, owner, world, process }: Seams): RedisClient {
  const plain = client.call.bind(client) as unknown as Call;
  const call: Call = async (command, args) => {
    const [script = '', count = '', ...rest] = args;
    const keyCount = Number(count);
    const place = script === writeScript ? rest.slice(0, keyCount).indexOf(totals) : -1;
    if (place < 0) return plain(command, args);
    const { before, sets, after } = cut(rest, keyCount, place);
    for (const [field, value] of sets) {
      const stored = redis.state.hashes.get(totals)?.get(field.toString('hex'))?.toString() ?? '0';
      const by = Number(value.toString()) - Number(stored);
      const apply = (): void => redis.increment(owner, totals, field.toString('hex'), by);
      const failure = (): Error => new Error('the connection was lost');
      await world.call(process, { kind: 'write', apply, late: apply, failure });
    }
    return plain(command, [script, String(keyCount - 1), ...before, ...after]);
  };
  return Object.create(client, { call: { value: call } }) as RedisClient;
}

/** Takes the totals' hash out of a write: what stands before and behind it, and what it sets. */
function cut(
  rest: readonly (string | Buffer)[],
  keyCount: number,
  place: number,
): { before: (string | Buffer)[]; sets: (readonly [Buffer, Buffer])[]; after: (string | Buffer)[] } {
  const headerArgs = 5;
  let at = keyCount + headerArgs;
  for (let key = 1; key < place; key++) at += 2 + 2 * Number(rest[at]) + Number(rest[at + 1]);
  const count = Number(rest[at]);
  const first = at + 2;
  const sets = Array.from(
    { length: count },
    (_, i) => [Buffer.from(rest[first + 2 * i] ?? ''), Buffer.from(rest[first + 2 * i + 1] ?? '')] as const,
  );
  return {
    before: [...rest.slice(0, place), ...rest.slice(place + 1, keyCount), ...rest.slice(keyCount, at)],
    sets,
    after: rest.slice(first + 2 * count),
  };
}
