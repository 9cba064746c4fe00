import { SluiceError } from '../../../engine/error.ts';
import type { QueryBounds, QueryDefinition } from '../../../engine/execution/query-definition.ts';
import { StreamingQuery } from '../../../engine/execution/streaming-query.ts';
import { TaskCommitLog, type TaskCommitLogOptions } from '../../../engine/sink/kafka/task-commit-log.ts';
import { RedisTaskState } from '../../../engine/state/redis/redis-task-state.ts';
import { BrokerModel, NotNow } from './broker-model.ts';
import { Checker, InvariantBroken, type Violation } from './checker.ts';
import { inputLog } from './input-log.ts';
import { ModelProducer } from './model-producer.ts';
import { ModelSource } from './model-source.ts';
import { truthOf } from './oracle.ts';
import type { Plan } from './plan.ts';
import type { PlantedBug, Seams } from './planted-bug.ts';
import { redisClient } from './redis-client.ts';
import { RedisModel } from './redis-model.ts';
import { simulatedJob, task } from './simulated-job.ts';
import { World, type Process } from './world.ts';

/** What one run came to. */
export interface RunResult {
  readonly faults: number;
  readonly steps: number;
  /** Lives of workers. */
  readonly processes: number;
  /** The first invariant that broke, if one did. */
  readonly violation: Violation | null;
  /** Halted by name because the log no longer reached back to the state, as it must. */
  readonly isHalted: boolean;
}

/** How a run is cut. */
export interface RunShape {
  readonly plan: Plan;
  readonly inputSize: number;
  readonly bounds: QueryBounds;
  readonly bug: PlantedBug | null;
  /** Where every step is written down, or `null`. */
  readonly events: string[] | null;
}

const maxSteps = 6_000;
/** After so many steps no new process takes over from one that runs, so that a run comes to an end. */
const calmStep = 4_000;
const reacquired = new Set(['TASK_FENCED', 'STATE_WENT_BACK']);
const logIsGone = new Set(['LOG_TRUNCATED', 'OFFSET_OUT_OF_RANGE']);

/** Runs one worker after the other, and sometimes two at once, until all input is committed and nothing moves any more. */
export async function simulate(shape: RunShape): Promise<RunResult> {
  const run = new Simulation(shape);
  return run.run();
}

class Simulation {
  readonly #shape: RunShape;
  readonly #world: World;
  readonly #broker: BrokerModel;
  readonly #redis: RedisModel;
  readonly #checker: Checker;
  readonly #processes: Process[] = [];
  #assigned: Process | null = null;
  #lives = 0;
  #isDone = false;
  #isHalted = false;
  #wasCut = false;
  #violation: Violation | null = null;

  constructor(shape: RunShape) {
    const { plan, inputSize, events, bug } = shape;
    this.#shape = shape;
    this.#world = new World(plan, events);
    const input = inputLog(plan.random, inputSize);
    this.#broker = new BrokerModel(input, Math.ceil(inputSize / 2));
    this.#redis = new RedisModel({ owner: 'checked', offset: 'checked', reads: 'checked', ...bug?.rules });
    this.#checker = new Checker(truthOf(input), this.#broker, this.#redis);
  }

  async run(): Promise<RunResult> {
    const world = this.#world;
    try {
      while (!this.#isOver()) {
        if (world.step > maxSteps) throw new InvariantBroken('I9', `no end after ${maxSteps} steps`);
        this.#befall();
        this.#staff();
        world.advance();
        // The product's code runs on promises alone: by the next turn of the event loop it has come to its next calls.
        await new Promise((resolve) => setImmediate(resolve));
        this.#checker.check();
        if (this.#violation !== null) break;
      }
      if (this.#violation === null && !this.#isHalted) {
        // What a dead owner left open holds readers up until the broker gives it up.
        this.#broker.timeOut();
        this.#broker.finishMarkers();
        this.#checker.checkEnd();
      }
      if (this.#isDone && this.#redis.offset !== this.#broker.decidedPosition?.offset && !this.#mayLag()) {
        throw new InvariantBroken('I4', 'a run that ended well left state to be replayed');
      }
    } catch (error) {
      if (!(error instanceof InvariantBroken)) throw error;
      this.#violation ??= error.violation;
    }
    if (this.#violation !== null) world.note(`${this.#violation.invariant}: ${this.#violation.what}   <== here`);
    return {
      faults: world.plan.faults,
      steps: world.step,
      processes: this.#processes.length,
      violation: this.#violation,
      isHalted: this.#isHalted,
    };
  }

  /** What befell the store after the last flush is for the next run to mend. */
  #mayLag(): boolean {
    return this.#redis.history.at(-1)?.kind !== 'write' || this.#wasCut;
  }

  #isOver(): boolean {
    return (this.#isDone || this.#isHalted) && this.#world.isQuiet;
  }

  /** Wakes who has slept long enough, tells former owners that they are, and lets things happen to the services. */
  #befall(): void {
    const { plan, step } = this.#world;
    for (const process of this.#processes) {
      if (process.state === 'paused' && (step >= process.wakeStep || this.#isOver())) {
        this.#world.note(`process ${process.id} goes on`);
        process.state = 'live';
      }
      const isFormer = process !== this.#assigned || this.#isDone || this.#isHalted;
      if (isFormer && process.state === 'live' && (plan.random.oneIn(25) || step > calmStep)) this.#tellLost(process);
    }
    const event = this.#isDone || this.#isHalted ? null : plan.event();
    if (event === null) return;
    switch (event) {
      case 'failover': {
        const lost = 1 + plan.random.below(4);
        this.#world.note(`redis: a replica takes over without the last ${lost} commands   <--`);
        this.#redis.failOver(lost);
        this.#wasCut = true;
        return;
      }
      case 'wipe':
        this.#world.note('redis: comes back empty   <--');
        this.#redis.failOver(Infinity);
        this.#wasCut = true;
        return;
      case 'transaction timeout':
        this.#world.note('broker: gives up open transactions   <--');
        this.#broker.timeOut();
        return;
      case 'takeover':
        this.#world.note('group: the partition goes to another worker   <--');
        this.#assigned = null;
        return;
      case 'truncate': {
        const to = plan.random.below((this.#broker.decidedPosition?.offset ?? 0) + 1);
        this.#broker.logStart = Math.max(this.#broker.logStart, to);
        this.#world.note(`broker: deletes the input below ${this.#broker.logStart}   <--`);
      }
    }
  }

  #tellLost(process: Process): void {
    if (process.lost.signal.aborted) return;
    this.#world.note(`group: tells process ${process.id} that it has lost the partition`);
    process.lost.abort();
    process.stop.abort();
  }

  /** Sees to it that a process has the partition. One that is paused is held to be dead. */
  #staff(): void {
    if (this.#isDone || this.#isHalted || this.#assigned?.state === 'live') return;
    if (this.#world.step > calmStep && this.#assigned?.state === 'paused') return;
    const process: Process = {
      id: this.#processes.length + 1,
      state: 'live',
      wakeStep: 0,
      stop: new AbortController(),
      lost: new AbortController(),
    };
    this.#processes.push(process);
    this.#assigned = process;
    this.#world.note(`group: process ${process.id} starts`);
    void this.#work(process);
  }

  /** One worker: acquires the task anew as long as that may help, as `GroupTasks` does. */
  async #work(process: Process): Promise<void> {
    while (!process.stop.signal.aborted) {
      try {
        await this.#query(process).run('realtime', process.stop.signal);
        if (process === this.#assigned && !process.lost.signal.aborted) this.#isDone = true;
        break;
      } catch (error) {
        this.#world.note(
          `process ${process.id}: ends with ${error instanceof SluiceError ? error.code : String(error)}`,
        );
        if (process.lost.signal.aborted) break;
        const mayHelp = error instanceof SluiceError && (reacquired.has(error.code) || error.retryable === 'transient');
        if (!mayHelp) {
          this.#halted(error);
          break;
        }
        if (process.stop.signal.aborted) {
          // Stopped, and ended without having flushed: whoever comes next finds what is committed.
          if (process === this.#assigned) this.#assigned = null;
          break;
        }
        await this.#world.clock(process).sleep(200);
      }
    }
    this.#world.kill(process);
  }

  /** I8: the only reason to halt is that the log no longer reaches back to the state, and then it must. */
  #halted(error: unknown): void {
    const reached = this.#redis.offset ?? 0;
    if (error instanceof SluiceError && logIsGone.has(error.code) && this.#broker.logStart > 0) {
      this.#isHalted = true;
      this.#world.note(`halts by name; the log starts at ${this.#broker.logStart}, the state is at ${reached}`);
      return;
    }
    const words = error instanceof Error ? error.message : String(error);
    this.#violation ??= { invariant: 'halt', what: `a worker halted: ${words.slice(0, 300)}` };
  }

  #query(process: Process): StreamingQuery {
    const world = this.#world;
    const { bug, bounds } = this.#shape;
    const owner = `owner ${++this.#lives}`;
    const seams: Seams = { world, process, broker: this.#broker, redis: this.#redis, owner };
    const client = redisClient(world, process, this.#redis);
    const state = new RedisTaskState(bug?.client?.(client, seams) ?? client, { task, owner });
    const transactionalId = bug?.transactionalId?.(seams) ?? task;
    const plain: TaskCommitLogOptions = {
      task,
      partition: 0,
      openProducer: async () => {
        await world.call(process, { kind: 'open producer', apply: () => undefined, failure: unavailable });
        const producer = new ModelProducer(world, process, this.#broker, transactionalId);
        return bug?.producer?.(producer, seams) ?? producer;
      },
      committed: () =>
        world
          .call(process, { kind: 'committed', apply: () => this.#broker.committed(), failure: unavailable })
          .catch((error: unknown) => {
            throw error instanceof NotNow ? unavailable() : error;
          }),
      state,
      servesJob: (digest) => digest === 'digest',
      lost: process.lost.signal,
    };
    const options = bug?.options?.(plain, seams) ?? plain;
    const log = new TaskCommitLog(options);
    const commitLog = bug?.commitLog?.(log, options, seams) ?? log;
    const source = new ModelSource(world, process, this.#broker, () => this.#idle(process));
    const query: QueryDefinition = simulatedJob({ source, commitLog, bounds, owner });
    return new StreamingQuery(bug?.query?.(query, seams) ?? query, world.clock(process), (error) =>
      world.note(`process ${process.id}: tries again after ${error.code}`),
    );
  }

  /** A reader has come to the end: more is written, now or once it is said that nothing comes; where all is written and committed, and that is said, too, the run ends. */
  #idle(process: Process): void {
    const { input, available } = this.#broker;
    const isSaid = this.#checker.isIdleSaid(available);
    if (available < input.length) {
      if (!isSaid && this.#world.plan.random.oneIn(2)) return;
      this.#broker.available = Math.min(input.length, available + 1 + this.#world.plan.random.below(12));
      return;
    }
    const isCommitted = isSaid && this.#broker.decidedPosition?.offset === input.length;
    if (process === this.#assigned && isCommitted) process.stop.abort();
  }
}

function unavailable(): SluiceError {
  return new SluiceError('KAFKA_UNAVAILABLE', 'the broker did not answer', { retryable: 'transient' });
}
