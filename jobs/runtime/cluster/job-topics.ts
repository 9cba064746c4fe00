import { SluiceError } from '../../../engine/error.ts';
import type { KafkaAdmin } from '../../../engine/source/kafka/kafka-admin.ts';
import type { Clock } from '../../../engine/time/clock.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { jointPlan } from '../stages/joint-plan.ts';
import { lateRecords } from '../open-late-encoder.ts';
import { outputTopics } from '../open-outputs.ts';
import type { Exchange, Stage } from '../stages/stages.ts';

/** A topic that a job writes, and how many partitions it must have. */
export interface WrittenTopic {
  readonly topic: string;
  readonly use: 'results' | 'late records' | 'amendments' | 'dead letters' | 'exchange';
  /** `any`: whatever it has; a topic that is made gets the input's count. `input`: as many as the input has; where there are several, the one with the most. */
  readonly partitions: number | 'input' | 'any';
  /** What it is made with, by Kafka's names, where the broker's defaults will not do. */
  readonly settings?: Readonly<Record<string, string>>;
}

const visibleWithinMs = 15_000;
const lookAgainMs = 50;

/**
 * The topics that a job reads on a cluster, in the order of its inputs; one for a job of one source.
 *
 * @throws {SluiceError} `SOURCE_UNSUITABLE` for a job that reads none; `INPUTS_ON_CLUSTER` for one of several inputs that cannot be split.
 */
export function inputTopics(job: CheckedJob): readonly string[] {
  const { source } = job;
  if (source.kind === 'topic') return [source.topic];
  if (source.kind === 'inputs') {
    const joint = jointPlan(job, source.plan);
    if ('refused' in joint) {
      throw new SluiceError(
        'INPUTS_ON_CLUSTER',
        `a job of several inputs runs on a cluster where each is a topic and one key brings all their records together; job ${job.name} does not yet: ${joint.refused}. Run it with --profile local`,
        { fields: { job: job.name } },
      );
    }
    return source.plan.inputs.flatMap((input) => (input.source.kind === 'topic' ? [input.source.topic] : []));
  }
  throw new SluiceError(
    'SOURCE_UNSUITABLE',
    `a job that runs on a cluster must read a topic; job ${job.name} reads ${source.kind === 'simulator' ? 'the simulator' : `a ${source.kind} file`}. ` +
      'Write its records to a topic (`sluice simulate` can), or run it with --profile local',
    { fields: { job: job.name } },
  );
}

/** The topic that a stage of a job reads. @throws {SluiceError} as {@link inputTopics}. */
export function topicOf(job: CheckedJob, { input, origin }: Stage): string {
  return input === 'source' ? (inputTopics(job)[origin] ?? '') : input.topic;
}

/** The topics that a job writes, none of them twice. @throws {SluiceError} `AMENDMENTS_ON_CLUSTER` for a job that amends its decisions and is split into stages. */
export function writtenTopics(job: CheckedJob, stages: readonly Stage[]): readonly WrittenTopic[] {
  const exchanges = new Map<string, WrittenTopic>();
  for (const { output } of stages) if (output !== 'results') exchanges.set(output.topic, exchangeTopic(output));
  const results = outputTopics(job).map(({ topic, partitions }): WrittenTopic => ({
    topic,
    use: 'results',
    partitions: partitions ?? 'input',
  }));
  const late = lateRecords(job);
  const lateTopics: readonly WrittenTopic[] =
    late === null ? [] : [{ topic: late.topic, use: 'late records', partitions: 'any' }];
  const { deadLetters } = job;
  const bad: readonly WrittenTopic[] =
    deadLetters.policy === 'fail' ? [] : [{ topic: deadLetters.topic, use: 'dead letters', partitions: 'any' }];
  return [...exchanges.values(), ...results, ...lateTopics, ...amendTopics(job, stages), ...bad];
}

/** A late record changes decisions of every entity that it is of, and on a cluster those of several entities are in several places. */
function amendTopics({ name, amendments, source }: CheckedJob, { length }: readonly Stage[]): readonly WrittenTopic[] {
  if (amendments === null) return [];
  if (length === 1) return [{ topic: amendments.topic, use: 'amendments', partitions: 'any' }];
  throw new SluiceError(
    'AMENDMENTS_ON_CLUSTER',
    `on a cluster a job with amendments must have ${source.key}, the topic's key, in the key of every feature, so that what a record changes is in its own partition; job ${name} is split into ${length} stages. ` +
      'Run it with --profile local, or leave "amendments" out',
    { fields: { job: name, stages: length } },
  );
}

function exchangeTopic({ topic, partitions, settings }: Exchange): WrittenTopic {
  return { topic, use: 'exchange', partitions: partitions ?? 'input', settings };
}

/** Whether a topic of this many partitions is what the job needs; says in words where it is not. */
export function partitionsRefused(
  { topic, use, partitions }: WrittenTopic,
  count: number,
  inputPartitions: number,
): SluiceError | null {
  const wanted = partitions === 'input' ? inputPartitions : partitions;
  if (wanted === 'any' || wanted === count) return null;
  const why = partitions === 'input' ? 'as many as the input has' : "as the job's file says";
  return new SluiceError(
    'TOPIC_PARTITIONS_WRONG',
    `topic ${topic}, which takes the job's ${use}, must have ${wanted} partitions, ${why}; it has ${count}. ` +
      `Keys would lie in other partitions than those of the records they answer: make it anew with ${wanted}, or name another topic in the job` +
      (use === 'results' && partitions === 'input' ? `, or say "partitions: ${count}" there` : ''),
    { fields: { topic, wanted, partitions: count } },
  );
}

/**
 * Looks the job's topics up, and makes those that it writes and that are not there, with as many partitions as they must have.
 *
 * @param onCreated told of each topic that was made.
 * @returns how many partitions each has, the inputs' among them.
 * @throws {SluiceError} `TOPIC_MISSING` for an input, which is never made: an empty one would look like a quiet one; `TOPIC_PARTITIONS_WRONG`.
 */
export async function ensureTopics(
  inputs: readonly string[],
  written: readonly WrittenTopic[],
  { admin, replicas, clock }: { readonly admin: KafkaAdmin; readonly replicas: number | null; readonly clock: Clock },
  onCreated: (topic: WrittenTopic, partitions: number) => void,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const input of inputs) {
    const count = await admin.partitionCount(input);
    if (count === null) throw inputMissing(input);
    counts.set(input, count);
  }
  const inputPartitions = Math.max(...counts.values());
  for (const needed of written) {
    const { topic } = needed;
    const count = (await admin.partitionCount(topic)) ?? (await create(needed));
    const refused = partitionsRefused(needed, count, inputPartitions);
    if (refused !== null) throw refused;
    counts.set(topic, count);
  }
  return counts;

  async function create(needed: WrittenTopic): Promise<number> {
    const { topic, settings } = needed;
    const partitions = typeof needed.partitions === 'number' ? needed.partitions : inputPartitions;
    const made = await admin.createTopic({
      topic,
      partitions,
      ...(replicas === null ? {} : { replicas }),
      ...(settings === undefined ? {} : { settings }),
    });
    if (made === 'created') onCreated(needed, partitions);
    // The brokers know of it a moment after it was made; a client that writes before that is told that there is no such topic.
    for (let waitedMs = 0; waitedMs < visibleWithinMs; waitedMs += lookAgainMs) {
      const count = await admin.partitionCount(topic);
      if (count !== null) return count;
      await clock.sleep(lookAgainMs);
    }
    return partitions;
  }
}

/** `TOPIC_MISSING` for the topic that a job reads. */
export function inputMissing(topic: string): SluiceError {
  return new SluiceError(
    'TOPIC_MISSING',
    `topic ${topic}, which the job reads, must exist before the job starts, since its number of partitions is part of the job's state; there is no such topic. ` +
      "Create it, or correct its name in the job's source",
    { fields: { topic } },
  );
}
