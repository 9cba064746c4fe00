import type { CommitLog } from '../../../engine/execution/commit-log.ts';
import type { QueryDefinition } from '../../../engine/execution/query-definition.ts';
import type { TaskCommitLogOptions } from '../../../engine/sink/kafka/task-commit-log.ts';
import type { TaskProducer } from '../../../engine/sink/kafka/task-producer.ts';
import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';
import type { BrokerModel } from './broker-model.ts';
import type { RedisModel, ScriptRules } from './redis-model.ts';
import type { Process, World } from './world.ts';

/** What a planted bug may get hold of in one life of the query. */
export interface Seams {
  readonly world: World;
  readonly process: Process;
  readonly broker: BrokerModel;
  readonly redis: RedisModel;
  /** Different in each life of the query. */
  readonly owner: string;
}

/**
 * A bug planted at the seams of the product's code, which itself stays as it is: each hook is given a part as it should be and gives back the one
 * that the query gets. What is absent stays as it should be.
 */
export interface PlantedBug {
  readonly name: string;
  readonly rules?: Partial<ScriptRules>;
  transactionalId?(seams: Seams): string;
  producer?(producer: TaskProducer, seams: Seams): TaskProducer;
  client?(client: RedisClient, seams: Seams): RedisClient;
  /** The task's commit log is made of these. */
  options?(options: TaskCommitLogOptions, seams: Seams): TaskCommitLogOptions;
  commitLog?(log: CommitLog, options: TaskCommitLogOptions, seams: Seams): CommitLog;
  query?(query: QueryDefinition, seams: Seams): QueryDefinition;
}
