import { SluiceError } from '../../../engine/error.ts';
import { BrokerWire } from '../../../engine/source/kafka/broker-wire.ts';
import type { KafkaAdmin } from '../../../engine/source/kafka/kafka-admin.ts';
import { probeTransactions } from '../../../engine/source/kafka/probe-transactions.ts';
import { formatDuration } from '../../../engine/time/duration.ts';
import { retentionMs } from '../../../features/feature-plan.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { windowReachMs } from '../../plan/window-plan.ts';
import { isTable } from '../open-inputs.ts';
import type { Stage } from '../stages/stages.ts';
import { fine, warned, type Checklist, type Finding } from './checklist.ts';
import type { ClusterKafka } from './cluster-settings.ts';
import { inputMissing, inputTopics, partitionsRefused, writtenTopics, type WrittenTopic } from './job-topics.ts';

/**
 * Looks at everything of Kafka that a job needs, but for where it stands: the brokers, its topics, transactions.
 *
 * @returns how many partitions the input has, the largest where there are several; `null` where that is not known, so that what rests on it cannot be looked at.
 */
export async function checkKafka(
  checklist: Checklist,
  job: CheckedJob,
  stages: readonly Stage[],
  kafka: ClusterKafka,
  admin: KafkaAdmin,
): Promise<number | null> {
  const inputs = inputTopics(job);
  const written = writtenTopics(job, stages);
  const writtenThings = written.map(({ topic, use }) => `topic ${topic} (${use})`);
  const isReachable = await checklist.check('Kafka', async () => {
    using _ = await BrokerWire.open(kafka.client);
    return fine(`${kafka.client.brokers.join(', ')}: a broker answers`);
  });
  if (!isReachable) {
    const unread = inputs.map((input) => `input topic ${input}`);
    checklist.skip([...unread, ...writtenThings, 'transactions'], 'no broker lets us in');
    return null;
  }
  const counts: number[] = [];
  for (const [index, input] of inputs.entries()) {
    await checklist.check(`input topic ${input}`, async () => {
      const count = await admin.partitionCount(input);
      if (count === null) throw inputMissing(input);
      counts.push(count);
      using wire = await BrokerWire.open(kafka.client);
      const settings = await wire.topicSettings(input);
      // The last version of each key is what a table is.
      const isOfTable = job.source.kind === 'inputs' && isTable(job.source.plan, index);
      return isOfTable ? fine(`${count} partitions, a table's`) : checkInputSettings(job, input, count, settings);
    });
  }
  const inputPartitions = counts.length === inputs.length ? Math.max(...counts) : null;
  for (const [index, topic] of written.entries()) {
    await checklist.check(writtenThings[index] ?? '', () => checkWritten(topic, inputPartitions, kafka, admin));
  }
  await checklist.check('transactions', async () => {
    await probeTransactions(kafka.client, `${job.app}.${job.name}.preflight`);
    return fine('the brokers have transactions, and this user may have them');
  });
  return inputPartitions;
}

/**
 * Refuses what would take records away that a job still needs: compaction keeps the last record of a key, and rolling features need them all; a log that is shorter than the
 * pause between two writes of the state cannot be replayed after a crash.
 */
export function checkInputSettings(
  job: CheckedJob,
  topic: string,
  partitions: number,
  settings: ReadonlyMap<string, string>,
): Finding {
  const policy = settings.get('cleanup.policy') ?? 'delete';
  refuseCompaction(topic, policy);
  const keptMs = Number(settings.get('retention.ms') ?? -1);
  const keptBytes = Number(settings.get('retention.bytes') ?? -1);
  const flushMs = job.state.flushEveryMs;
  if (keptMs >= 0 && keptMs < flushMs) {
    throw new SluiceError(
      'RETENTION_TOO_SHORT',
      `topic ${topic} must keep records for longer than the state's flush interval, ${formatDuration(flushMs)}, or a restart finds a gap; its retention.ms is ${keptMs}. ` +
        'Keep records for as long as the job may stand still, a week say, or flush more often (state.flushEvery)',
      { fields: { topic, retentionMs: keptMs, flushEveryMs: flushMs } },
    );
  }
  const reachMs = reachOf(job);
  const has = `${partitions} partitions`;
  if (keptBytes >= 0) {
    return warned(
      `${has}; retention.bytes is ${keptBytes}, so that a burst may push records out that a stopped job has not read: see that it lasts for longer than the job may stand still`,
    );
  }
  if (keptMs >= 0 && keptMs < reachMs) {
    return warned(
      `${has}; records are kept for ${formatDuration(keptMs)}, and ${job.features.steps.length > 0 ? 'features' : 'operators'} reach ${formatDuration(reachMs)} back: state that Redis lost could not be rebuilt whole, and the job would halt (LOG_TRUNCATED)`,
    );
  }
  return fine(`${has}, kept for ${keptMs < 0 ? 'ever' : formatDuration(keptMs)}`);
}

/** How far behind the watermark the records lie that a job's operators may still need. */
function reachOf({ features, windows, sessions, pattern }: CheckedJob): number {
  const rolling = features.steps.map((step) => (step.kind === 'rolling' ? retentionMs(step.definition) : 0));
  const windowsMs = windows === null ? 0 : windowReachMs(windows.definition);
  const { forgetMs = 0 } = sessions?.definition ?? {};
  const { withinMs = 0 } = pattern?.definition ?? {};
  return Math.max(0, ...rolling, windowsMs, forgetMs, withinMs);
}

function refuseCompaction(topic: string, policy: string): void {
  if (!policy.includes('compact')) return;
  throw new SluiceError(
    'TOPIC_COMPACTED',
    `topic ${topic} must not be compacted: only the last record of each key is kept, and the state is made of all of them; its cleanup.policy is ${policy}. ` +
      `Set cleanup.policy=delete (kafka-configs --alter --topic ${topic} --add-config cleanup.policy=delete), or read another topic`,
    { fields: { topic, policy } },
  );
}

async function checkWritten(
  topic: WrittenTopic,
  inputPartitions: number | null,
  kafka: ClusterKafka,
  admin: KafkaAdmin,
): Promise<Finding> {
  const count = await admin.partitionCount(topic.topic);
  if (count === null) {
    const made = typeof topic.partitions === 'number' ? topic.partitions : inputPartitions;
    return fine(`not there yet: \`sluice run\` makes it, with ${made ?? "the input's number of"} partitions`);
  }
  const refused = inputPartitions === null ? null : partitionsRefused(topic, count, inputPartitions);
  if (refused !== null) throw refused;
  if (topic.use === 'exchange') {
    // The stage behind it makes its state of it, as the first makes its own of the input.
    using wire = await BrokerWire.open(kafka.client);
    refuseCompaction(topic.topic, (await wire.topicSettings(topic.topic)).get('cleanup.policy') ?? 'delete');
  }
  return fine(`${count} partitions`);
}
