import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../error.ts';
import { systemClock, type Clock } from '../../time/clock.ts';
import { GroupTasks, type GroupTasksOptions, type TaskSignals } from './group-tasks.ts';

/** A clock whose sleeps end at once, and tell how long they were to be. */
function impatient(slept: number[]): Clock {
  return {
    ...systemClock,
    sleep: async (durationMs) => {
      slept.push(durationMs);
      await Promise.resolve();
    },
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

function tasksThat(
  run: GroupTasksOptions['run'],
  clock: Clock = systemClock,
): { readonly tasks: GroupTasks; readonly halts: unknown[]; readonly troubles: string[] } {
  const halts: unknown[] = [];
  const troubles: string[] = [];
  const tasks = new GroupTasks({
    run,
    halted: (partition, error) => halts.push([partition, error]),
    trouble: (partition, error) => troubles.push(`${partition} ${error.code}`),
    handOverTimeoutMs: 1_000,
    clock,
  });
  return { tasks, halts, troubles };
}

describe('the tasks of a worker', () => {
  it('run from their assignment on, and have ended when the hand-over resolves', async () => {
    const events: string[] = [];
    const { tasks } = tasksThat(async (partition, { stop }) => {
      events.push(`start ${partition}`);
      await aborted(stop);
      await Promise.resolve();
      events.push(`end ${partition}`);
    });
    tasks.assigned([0, 1]);
    tasks.assigned([2]);
    await tasks.revoked([1]);
    expect(events).toEqual(['start 0', 'start 1', 'start 2', 'end 1']);
    expect(tasks.partitions).toEqual([0, 2]);
    await tasks.revoked([0, 2]);
  });

  it('are told that they are lost when they do not end in time', async () => {
    const { tasks } = tasksThat(async (_, { lost }) => aborted(lost), impatient([]));
    tasks.assigned([0]);
    await tasks.revoked([0]);
    expect(tasks.partitions).toEqual([]);
  });

  it('hear of a loss before they hear that they must stop', async () => {
    const heard: string[] = [];
    const { tasks } = tasksThat(async (_, { stop, lost }: TaskSignals) => {
      lost.addEventListener('abort', () => heard.push('lost'));
      await aborted(stop);
      heard.push('stop');
    });
    tasks.assigned([0]);
    await tasks.lost([0]);
    expect(heard).toEqual(['lost', 'stop']);
  });

  it.each(['TASK_FENCED', 'STATE_WENT_BACK'])('are acquired anew after %s', async (code) => {
    const slept: number[] = [];
    let runs = 0;
    const { tasks, halts, troubles } = tasksThat(async (_, { stop }) => {
      if (++runs < 3) throw new SluiceError(code, 'a test says so');
      await aborted(stop);
    }, impatient(slept));
    tasks.assigned([4]);
    await expect.poll(() => runs).toBe(3);
    await tasks.revoked([4]);
    expect(troubles).toEqual([`4 ${code}`, `4 ${code}`]);
    expect(halts).toEqual([]);
  });

  it('halt alone, by name, after an error that acquiring anew cannot mend', async () => {
    const truncated = new SluiceError('LOG_TRUNCATED', 'a test says so');
    const { tasks, halts } = tasksThat(async (partition, { stop }) => {
      if (partition === 0) throw truncated;
      await aborted(stop);
    });
    tasks.assigned([0, 1]);
    await expect.poll(() => halts).toEqual([[0, truncated]]);
    expect(tasks.partitions).toEqual([0, 1]);
    await tasks.revoked([0, 1]);
    expect(halts).toHaveLength(1);
  });

  it('say nothing of an error that comes while they are handed over', async () => {
    const { tasks, halts, troubles } = tasksThat(async (_, { stop }) => {
      await aborted(stop);
      throw new SluiceError('TASK_FENCED', 'a test says so');
    });
    tasks.assigned([0]);
    await tasks.revoked([0]);
    expect([halts, troubles]).toEqual([[], []]);
  });
});
