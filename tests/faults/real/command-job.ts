import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { job } from '../simulation/input-log.ts';

/** What the command is told in files. */
export interface CommandJob {
  readonly dir: string;
  /** Names the job, and its topics. */
  readonly name: string;
  readonly brokers: readonly string[];
  readonly redisPort: number;
  readonly sessionTimeoutMs: number;
  readonly flushEveryMs: number;
}

/** The application that the command's jobs belong to: it stands before their names in groups, transactional ids and keys. */
export const commandApp = 'faults';

/** The rolling operator of the job's one entity. */
export const commandOperator = 'card/0';

/**
 * Writes the job of the simulation as a job file, with the running total as a window of ten years, and the settings.
 *
 * @returns the arguments by which `sluice run` starts a worker of it, one that looks at nothing before it starts: it may be started while a service is away.
 */
export function writeCommandJob({
  dir,
  name,
  brokers,
  redisPort,
  sessionTimeoutMs,
  flushEveryMs,
}: CommandJob): readonly string[] {
  for (const folder of ['jobs', 'features']) mkdirSync(join(dir, folder), { recursive: true });
  const file = join(dir, 'jobs', 'job.yaml');
  const settings = join(dir, 'settings.yaml');
  writeFileSync(
    join(dir, 'features', 'card.yaml'),
    `entity: card
features:
  total: { sum: amount, over: 3650d, current: include }
  count: { count: true, over: ${job.windowMs}ms }
  sum: { sum: amount, over: ${job.windowMs}ms }
`,
  );
  writeFileSync(
    file,
    `job: ${name}
app: ${commandApp}
source:
  topic: ${name}.in
  fields: { id: string, card: string, time: timestamp, amount: double }
  key: card
  eventTime: { field: time, delay: ${job.delayMs}ms }
  duplicates: { by: id, within: ${job.duplicatesWithinMs}ms }
features: [card]
sinks: [{ topic: ${name}.out }]
deadLetters: { topic: ${name}.dead }
state: { flushEvery: ${flushEveryMs}ms }
`,
  );
  writeFileSync(
    settings,
    `kafka: { brokers: ${JSON.stringify(brokers)}, sessionTimeout: ${sessionTimeoutMs}ms }
redis: { url: 'redis://127.0.0.1:${redisPort}', commandTimeout: 3s }
state: { workingSetBytes: 1048576 }
`,
  );
  return ['cli/main.ts', 'run', file, '--profile', 'cluster', '--config', settings, '--worker', '1'];
}
