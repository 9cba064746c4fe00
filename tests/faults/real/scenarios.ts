import type { ActName } from './acts.ts';
import { usualShape, type RunShape } from './fault-run.ts';

/** What a run is about: which faults may befall it, how many of them, and what else is unlike the usual. */
export interface Scenario {
  readonly name: string;
  readonly acts: readonly [ActName, ...ActName[]];
  readonly actCount: number;
  readonly shape: RunShape;
}

function scenario(
  name: string,
  acts: Scenario['acts'],
  changes: Partial<RunShape> & { readonly actCount?: number } = {},
): Scenario {
  const { actCount = 4, ...shape } = changes;
  return { name, acts, actCount, shape: { ...usualShape, ...shape } };
}

/** One for each kind of trouble, and one in which everything may happen. The truncated log has a run of its own: there, work must stop. */
export const scenarios: readonly Scenario[] = [
  scenario('workers are killed at any moment', ['killWorker']),
  scenario('workers are killed at the seams of the commit', [
    'killBeforeCommit',
    'killAfterCommit',
    'killBeforeStateWrite',
    'killAfterStateWrite',
  ]),
  scenario('workers are frozen between commit and state write, and wake as zombies', ['freezeBeforeStateWrite'], {
    actCount: 2,
  }),
  scenario(
    'workers are frozen in a transaction or anywhere, and wake as zombies',
    ['freezeBeforeCommit', 'freezeWorker'],
    { actCount: 2 },
  ),
  scenario('Redis goes back to an older copy', ['redisGoesBack', 'killWorker'], { actCount: 3 }),
  scenario('Redis is restarted, and loses the end of its file', ['restartRedis', 'redisLosesItsTail']),
  scenario('Redis loses everything', ['redisLosesAll', 'killWorker'], { flushEveryMs: 500 }),
  scenario("Redis's disk is full", ['fullDisk', 'killWorker'], { actCount: 3 }),
  scenario('connections to Redis are cut, silent, slow and refused', [
    'cutRedis',
    'cutRedisByBytes',
    'withholdRedis',
    'slowRedis',
    'refuseRedis',
    'freezeRedis',
  ]),
  scenario('connections to Kafka are cut', ['cutKafka', 'cutKafkaByBytes'], { actCount: 3 }),
  scenario('connections to Kafka are silent, slow and refused', ['withholdKafka', 'slowKafka', 'refuseKafka'], {
    actCount: 3,
  }),
  scenario('the broker is killed and comes back', ['restartBroker'], { actCount: 1 }),
  scenario('workers come and go in a storm of rebalances', ['comeAndGo'], { actCount: 2 }),
  scenario('a fifth of the records is poison', ['killAfterCommit', 'killBeforeCommit', 'killWorker'], {
    poisonOneIn: 5,
  }),
  scenario('two workers have the same name and the same settings', ['killWorker', 'freezeWorker'], {
    instanceId: 'the same',
    actCount: 2,
  }),
  scenario('ClickHouse is away, and its sink is killed', ['clickHouseAway', 'killSink', 'killWorker'], {
    sink: 'with a sink',
  }),
  scenario(
    'sluice run has its workers killed and frozen, and Redis goes back',
    ['killWorker', 'freezeWorker', 'redisGoesBack'],
    { actCount: 3, worker: 'the command' },
  ),
  scenario(
    'sluice run has its connections cut and silenced, and Redis loses everything',
    ['cutKafka', 'cutRedisByBytes', 'withholdRedis', 'redisLosesAll', 'killWorker'],
    { actCount: 3, worker: 'the command' },
  ),
  scenario(
    'everything at once',
    [
      'killWorker',
      'killBeforeCommit',
      'killBeforeStateWrite',
      'freezeBeforeStateWrite',
      'freezeBeforeCommit',
      'redisGoesBack',
      'redisLosesItsTail',
      'redisLosesAll',
      'cutKafkaByBytes',
      'withholdKafka',
      'cutRedisByBytes',
      'withholdRedis',
      'comeAndGo',
    ],
    { actCount: 5, workers: 3, flushEveryMs: 200 },
  ),
];
