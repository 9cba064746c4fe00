import { SluiceError } from '../../../engine/error.ts';

/** `TOPIC_PARTITIONS_CHANGED`: the input has other partitions than those that the job's state was made with. */
export function partitionsChanged(job: string, topic: string, before: number, now: number): SluiceError {
  return new SluiceError(
    'TOPIC_PARTITIONS_CHANGED',
    `topic ${topic} must keep the ${before} partitions that the state of ${job} was made with; it has ${now} or more. Its keys lie in other partitions ` +
      'now, away from their past: read a topic that was filled anew with that many, and run the job under another name',
    { fields: { job, topic, before, now } },
  );
}
