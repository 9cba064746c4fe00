import { SluiceError } from '../../../engine/error.ts';
import { readNote } from '../../../engine/sink/kafka/commit-note.ts';
import type { CommittedPosition } from '../../../engine/source/kafka/consumer-group.ts';
import { committedPositions } from '../../../engine/source/kafka/committed-positions.ts';
import { KafkaAdmin } from '../../../engine/source/kafka/kafka-admin.ts';
import type { KafkaSettings } from '../../../engine/source/kafka/kafka-settings.ts';
import { checkRedisKeepsState, redisWritesToDisk } from '../../../engine/state/redis/check-redis.ts';
import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';
import { readTaskHeader, type TaskHeader } from '../../../engine/state/redis/task-header.ts';
import type { Clock } from '../../../engine/time/clock.ts';
import { fine, warned, type Checklist, type Finding } from './checklist.ts';
import type { FateOf } from '../../state/changed-tasks.ts';
import { checkPartitionsKept } from './recorded-partitions.ts';

const attempts = 10;
const lookAgainMs = 300;

/** A stage of a job as its tasks are named. */
export interface StageTasks {
  /** Consumer group and beginning of the tasks' names. */
  readonly name: string;
  readonly topic: string;
  readonly digest: string;
  /** What becomes of what another digest has left. */
  readonly fateOf: FateOf;
  /** `none`: a stage that only passes records on, and so replays nothing. Absent: `kept`. */
  readonly state?: 'kept' | 'none';
}

/** Looks at the Redis that a job's state is kept in. @returns whether it may be asked for the state. */
export async function checkRedis(checklist: Checklist, redis: RedisClient): Promise<boolean> {
  const keeps = await checklist.check('Redis', async () => {
    await checkRedisKeepsState(redis);
    return fine('it answers, and evicts nothing');
  });
  if (!keeps) {
    checklist.skip(['Redis on disk'], 'Redis is refused');
    return false;
  }
  return checklist.check('Redis on disk', async () =>
    (await redisWritesToDisk(redis))
      ? fine('every change is written (appendonly yes)')
      : warned(
          'appendonly is off: a Redis that crashes loses state, and the job replays it from the topic, as far as that reaches back. Set appendonly yes',
        ),
  );
}

/**
 * Looks at where the tasks of a stage stand: what was committed (C), what the state reflects (S), and whether the log still holds what lies between (exactly-once, "Acquire", step
 * 5). Takes nothing over: workers may be running.
 */
export async function checkPositions(
  checklist: Checklist,
  stage: StageTasks,
  kafka: KafkaSettings,
  redis: RedisClient,
  clock: Clock,
): Promise<void> {
  await checklist.check(`positions in ${stage.topic}`, async () => {
    // A topic that was made a moment ago has no leader yet: what fails for now is looked at again, a few times.
    for (let attempt = 1; ; attempt++) {
      try {
        return await findPositions(stage, kafka, redis);
      } catch (error) {
        const mayPass = error instanceof SluiceError && error.retryable === 'transient' && attempt < attempts;
        if (!mayPass) throw error;
        await clock.sleep(lookAgainMs);
      }
    }
  });
}

async function findPositions(stage: StageTasks, kafka: KafkaSettings, redis: RedisClient): Promise<Finding> {
  const { name, topic } = stage;
  using admin = new KafkaAdmin(kafka);
  const count = await admin.partitionCount(topic);
  // An exchange that no worker has made yet.
  if (count === null) return fine('the job has not run yet');
  await checkPartitionsKept(redis, name, topic, count, 'look');
  const held = await admin.heldOffsets(topic, count);
  const committed = await committedPositions(kafka, name, topic, count);
  let replayed = 0;
  let behind = 0;
  for (const [partition, range] of held.entries()) {
    const header = await readTaskHeader(redis, `${name}.${topic}-${partition}`);
    const position = committed.get(partition) ?? null;
    replayed += checkPosition({ stage, partition, range, position, header });
    behind += Math.max(0, range.end - (position?.offset ?? range.start));
  }
  if (committed.size === 0) return fine(`the job begins at the beginning: ${behind} records`);
  return fine(`${behind} records to read, ${replayed} to replay first; the log holds them`);
}

/** Where one task stands. */
export interface TaskStanding {
  readonly stage: StageTasks;
  readonly partition: number;
  /** The offsets that the log holds, `[start, end)`. */
  readonly range: { readonly start: number; readonly end: number };
  readonly position: CommittedPosition | null;
  readonly header: TaskHeader;
}

/**
 * Whether a task can be taken up where it stands; the errors are those that its acquisition would end with.
 *
 * @returns how many records would be replayed.
 * @throws {SluiceError} `STATE_AHEAD_OF_LOG`, `JOB_CHANGED`, `OFFSET_OUT_OF_RANGE`, `LOG_TRUNCATED`, `COMMIT_NOTE_UNREADABLE`.
 */
export function checkPosition({ stage, partition, range, position, header }: TaskStanding): number {
  const { name, topic, digest, fateOf } = stage;
  const task = `${name}.${topic}-${partition}`;
  const fields = { task, topic, partition };
  if (position === null) {
    if (header.offset === null) return 0;
    throw new SluiceError(
      'STATE_AHEAD_OF_LOG',
      `the state of task ${task} must not be ahead of its committed position; it is at ${header.offset}, and the position is gone: it was reset, or has expired ` +
        "(offsets.retention.minutes). Put the position back, or delete the job's keys in Redis to begin anew",
      { fields },
    );
  }
  const note = readNote(position.metadata, `the position of task ${task}`);
  const { jobDigest } = note.metadata;
  const fate = jobDigest === digest ? 'serve' : fateOf(jobDigest);
  if (fate === 'refuse') {
    throw new SluiceError(
      'JOB_CHANGED',
      `task ${task} was left by a job of digest ${jobDigest}, whose state this job cannot take up (sluice plan --diff says why); run the former job, or this one under another name`,
      { fields: { ...fields, jobDigest } },
    );
  }
  const { offset } = position;
  if (header.offset !== null && header.offset > offset) {
    throw new SluiceError(
      'STATE_AHEAD_OF_LOG',
      `the state of task ${task} must not be ahead of its committed position; it is at ${header.offset}, the position at ${offset}. The position was reset, or the topic was made anew: ` +
        'put the position back, or delete the state to rebuild it from the log',
      { fields },
    );
  }
  if (offset > range.end) {
    throw new SluiceError(
      'OFFSET_OUT_OF_RANGE',
      `topic ${topic} must reach to offset ${offset} of partition ${partition}, where the job stands; it ends at ${range.end}. It was made anew under its name: ` +
        'run the job under another name, or delete its positions and its state',
      { fields },
    );
  }
  const rebuilds = fate === 'rebuild' || header.offset === null;
  if (stage.state === 'none') return 0;
  const from = rebuilds ? note.origin : (header.offset ?? note.origin);
  if (from < range.start) {
    const what =
      fate === 'rebuild'
        ? 'from where the changed job must rebuild its state'
        : header.offset === null
          ? 'where the state, which Redis has lost, must be rebuilt from'
          : 'where the state stands';
    throw new SluiceError(
      'LOG_TRUNCATED',
      `topic ${topic} must still hold partition ${partition} from offset ${from}, ${what}; it begins at ${range.start}: retention was shorter than the job stood still. ` +
        'Run the job under another name, with state from what the topic holds',
      { fields: { ...fields, from, start: range.start } },
    );
  }
  return offset - from;
}
