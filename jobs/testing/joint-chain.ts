import { encodeDeadLetters } from '../../engine/serde/dead-letter-encoder.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import { messageBatchOf, type MessageInput } from '../../engine/storage/message-batch-builder.ts';
import type { CheckedJob } from '../checked-job.ts';
import { assembleStage } from '../runtime/stages/assemble-stage.ts';
import { topicOf } from '../runtime/cluster/job-topics.ts';
import { openInputDecoder } from '../runtime/open-inputs.ts';
import { lateRecords, openLateEncoder } from '../runtime/open-late-encoder.ts';
import { outputTopics } from '../runtime/open-outputs.ts';
import { planStages } from '../runtime/stages/stages.ts';
import { upstreamsOf } from '../runtime/stages/stage-upstreams.ts';
import { openResultEncoder } from '../runtime/window-outputs.ts';
import { MemoryLog, noCommitLog, noSource, TaskUnderTest } from './stage-chain.ts';

const exchangePartitions = 3;
const noRegistry = {} as SchemaRegistry;

/** A message of a topic. */
export interface TopicMessage {
  readonly topic: string;
  readonly message: MessageInput;
}

/** All tasks of all stages of a job of several inputs, over topics in memory: its results go to `out`, bad records to `bad`, late ones to `job-late`. */
export class JointChain {
  readonly log: MemoryLog = new MemoryLog();
  readonly tasks: readonly { readonly stage: number; readonly task: TaskUnderTest }[];

  private constructor(
    job: CheckedJob,
    counts: Readonly<Record<string, number>>,
    messages: readonly TopicMessage[],
    encoders: readonly Encoder[],
    lateEncoder: Encoder | null,
  ) {
    const { source } = job;
    if (source.kind !== 'inputs') throw new Error('the job has several inputs');
    const { plan } = source;
    const topics = { ...counts, out: 2, bad: 1, 'job-late': 1 };
    for (const [topic, count] of Object.entries(topics)) this.log.createTopic(topic, count);
    for (const { topic, message } of messages) this.log.append(messageBatchOf(topic, [message]));
    const stages = planStages(job);
    for (const { input } of stages) {
      if (input !== 'source') this.log.createTopic(input.topic, input.partitions ?? exchangePartitions);
    }
    this.tasks = stages.flatMap((stage, index) => {
      const topic = topicOf(job, stage);
      const before = stages[index - 1];
      return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) => {
        const query = assembleStage(job, stage, {
          source: noSource,
          commitLog: noCommitLog,
          input: topic,
          decoder: stage.input === 'source' ? openInputDecoder(plan, stage.origin, noRegistry) : null,
          model: null,
          encoders: stage.output === 'results' ? encoders : [],
          lateEncoder,
          encodeDeadLetters: (letters) => encodeDeadLetters('bad', letters, 1),
          partition,
          upstreamPartitions: before === undefined ? 1 : this.log.partitionCount(topicOf(job, before)),
          upstreams: upstreamsOf(stages, stage, (each) => this.log.partitionCount(topicOf(job, each))),
          downstreamPartitions: stage.output === 'results' ? 1 : this.log.partitionCount(stage.output.topic),
        });
        return { stage: index, task: new TaskUnderTest(query, this.log, topic, partition) };
      });
    });
  }

  /**
   * Opens all tasks over topics that hold these messages.
   *
   * @param counts how many partitions the inputs' topics have.
   */
  static async open(
    job: CheckedJob,
    counts: Readonly<Record<string, number>>,
    messages: readonly TopicMessage[],
  ): Promise<JointChain> {
    const encoders: Encoder[] = [];
    for (const output of outputTopics(job)) encoders.push(await openResultEncoder(job, null, output, 2, noRegistry));
    const late = lateRecords(job);
    const lateEncoder = late === null ? null : await openLateEncoder(late, 1, noRegistry);
    return new JointChain(job, counts, messages, encoders, lateEncoder);
  }

  /** Lets tasks work, in some order, and store their state and die on the way, until all is worked off. */
  async drain(choose: (below: number) => number): Promise<void> {
    for (;;) {
      const ready = this.tasks.filter(({ task }) => task.lag > 0);
      const next = ready[choose(ready.length)];
      if (next === undefined) return;
      await next.task.work(1 + choose(15));
      if (choose(3) === 0) next.task.store();
      if (choose(4) === 0) await next.task.die();
    }
  }

  /** Lets one stage after the other work all off, its tasks side by side, as a command that ends by itself does. */
  async drainInTurn(maxRecords: number): Promise<void> {
    const last = Math.max(...this.tasks.map(({ stage }) => stage));
    for (let turn = 0; turn <= last; turn++) {
      const tasks = this.tasks.filter(({ stage }) => stage === turn).map(({ task }) => task);
      while (tasks.some(({ lag }) => lag > 0)) for (const task of tasks) await task.work(maxRecords);
    }
  }

  /** What is in a topic, as JSON. */
  rows(topic: string): unknown {
    return this.texts(topic).map((text): unknown => JSON.parse(text));
  }

  /** What is in a topic. */
  texts(topic: string): readonly string[] {
    return Array.from({ length: this.log.partitionCount(topic) }, (_, partition) =>
      this.log.of(topic, partition).map(({ value }) => Buffer.from(value).toString('latin1')),
    ).flat();
  }
}

/** Numbers below a bound that look random, and are the same for the same seed. */
export function chooser(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
