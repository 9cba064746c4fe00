import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../engine/time/clock.ts';
import { waitUntil } from '../../../tools/services/launched-process.ts';
import { RandomSource } from '../simulation/random-source.ts';
import { violationsOf, type RealViolation } from './checker.ts';
import type { FaultWorkerSettings } from './fault-worker.ts';
import { commandApp, commandOperator, writeCommandJob } from './command-job.ts';
import { InputFeed } from './input-feed.ts';
import { dump, dumpCommits, RawAdmin, RawReader, type RawMessage } from './raw-kafka.ts';
import { setTrap, takeTrap, type Trap } from './seams.ts';
import { RedisUnderFaults, type ServicesUnderFaults } from './services-under-faults.ts';
import { SinkUnderFaults } from './sink-under-faults.ts';
import { readStoredState, type StoredState } from './stored-state.ts';

/** How one run is shaped, beside its seed. */
export interface RunShape {
  readonly workers: number;
  readonly poisonOneIn: number;
  /** How often state is written; a longer interval leaves more to replay. */
  readonly flushEveryMs: number;
  /** A name that all workers give themselves, where a run is about that. */
  readonly instanceId: string | null;
  /** Whether its outputs are copied to a ClickHouse of its own. */
  readonly sink: 'with a sink' | 'without a sink';
  /** The planted bug that its workers have; empty for none. */
  readonly bug: string;
  /** What a worker is: the engine's parts, put together so that traps and bugs can be set, or `sluice run` with a job file. */
  readonly worker: 'engine parts' | 'the command';
}

/** What most runs are like. */
export const usualShape: RunShape = {
  workers: 2,
  poisonOneIn: 40,
  flushEveryMs: 50,
  instanceId: null,
  sink: 'without a sink',
  bug: '',
  worker: 'engine parts',
};

const partitions = 4;
const recordsPerSecond = 500;
/** How long after the last fault everything must have been caught up with. */
const catchUpMs = 90_000;
/** Longer than a worker gives itself to end (`cli/end-in-time.ts`). */
const leavesWithinMs = 45_000;
/** How long a trap may wait for a worker that has none of the partitions, or writes no state just then. */
const trapPatienceMs = 8_000;
const program = fileURLToPath(new URL('fault-worker.ts', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));
/** So little that the cards that seldom come are read again each time. */
const workingSetBytes = 2_000;
/** How long a worker may be silent before the group gives its partitions away. */
export const sessionTimeoutMs = 1_500;

/** A worker process of a run. */
export interface RunningWorker {
  readonly child: ChildProcess;
  readonly trapFile: string;
  /** Whether its end was the harness's doing. */
  isEnding: boolean;
}

/**
 * One run: topics and a Redis of its own, workers, an input that flows for as long as faults happen, and a reader that looks on. Acts take hold of its
 * parts; `finish` lets the faults cease, waits until everything is caught up with, and has the checker look at what is left.
 */
export class FaultRun {
  readonly services: ServicesUnderFaults;
  readonly redis: RedisUnderFaults;
  /** `null` in a run without one. */
  readonly sink: SinkUnderFaults | null;
  readonly random: RandomSource;
  readonly name: string;
  readonly workers: RunningWorker[] = [];
  readonly #shape: RunShape;
  readonly #feed: InputFeed;
  readonly #reader: RawReader;
  readonly #seen: RawMessage[] = [];
  readonly #deaths: string[] = [];
  #logs = '';
  #started = 0;
  #isReading = true;
  #reading: Promise<void> = Promise.resolve();
  /** Faults that were done so far. */
  faults = 0;

  private constructor(
    services: ServicesUnderFaults,
    redis: RedisUnderFaults,
    sink: SinkUnderFaults | null,
    reader: RawReader,
    name: string,
    seed: number,
    shape: RunShape,
  ) {
    this.services = services;
    this.redis = redis;
    this.sink = sink;
    this.name = name;
    this.random = new RandomSource(seed);
    this.#reader = reader;
    this.#shape = shape;
    const feedShape = {
      topic: this.input,
      partitions,
      recordsPerSecond,
      poisonOneIn: shape.poisonOneIn,
      repeatOneIn: 12,
    };
    this.#feed = new InputFeed(services.directBroker, feedShape, new RandomSource(seed ^ 0xfeed));
  }

  static async start(services: ServicesUnderFaults, name: string, seed: number, shape: RunShape): Promise<FaultRun> {
    const redis = await RedisUnderFaults.start(join(services.dir, name));
    using admin = new RawAdmin(services.directBroker);
    for (const topic of ['in', 'out', 'dead']) await admin.createTopic(`${name}.${topic}`, partitions);
    const outputs = { [`${name}.out`]: partitions, [`${name}.dead`]: partitions };
    const reader = await RawReader.open(services.directBroker, outputs);
    const sink =
      shape.sink === 'without a sink'
        ? null
        : await SinkUnderFaults.start(join(services.dir, name), services.brokers, `${name}.out`);
    const run = new FaultRun(services, redis, sink, reader, name, seed, shape);
    run.#feed.start();
    run.#reading = run.#read();
    for (let i = 0; i < shape.workers; i++) run.startWorker();
    await run.progress(50);
    return run;
  }

  get input(): string {
    return `${this.name}.in`;
  }

  /** How many outputs and dead letters were seen so far. */
  get seenCount(): number {
    return this.#seen.length;
  }

  get partitions(): number {
    return partitions;
  }

  /** All that workers have said so far. */
  get logs(): string {
    return this.#logs;
  }

  startWorker(): RunningWorker {
    const trapFile = join(this.services.dir, `${this.name}.trap-${this.#started++}`);
    // The channel is how the command learns that nobody is left; the engine's parts have a pipe for that.
    const child = spawn(process.execPath, ['--import', 'tsx', ...this.#workerArgs(trapFile)], {
      cwd: root,
      stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '32' },
    });
    const worker: RunningWorker = { child, trapFile, isEnding: false };
    this.workers.push(worker);
    child.stderr?.setEncoding('utf8').on('data', (words: string) => (this.#logs += words));
    child.once('exit', (code, signal) => {
      if (!worker.isEnding) this.#deaths.push(`a worker ended by itself (code ${code}, signal ${signal})`);
      const place = this.workers.indexOf(worker);
      if (place >= 0) this.workers.splice(place, 1);
    });
    return worker;
  }

  #workerArgs(trapFile: string): readonly string[] {
    const { flushEveryMs, instanceId, bug, worker } = this.#shape;
    if (worker === 'the command') {
      const { services, redis, name } = this;
      const dir = join(services.dir, `${name}-job`);
      const redisPort = redis.proxy.port;
      return writeCommandJob({ dir, name, brokers: services.brokers, redisPort, sessionTimeoutMs, flushEveryMs });
    }
    const settings: FaultWorkerSettings = {
      brokers: this.services.brokers,
      redisPort: this.redis.proxy.port,
      job: this.name,
      input: this.input,
      output: `${this.name}.out`,
      deadLetters: `${this.name}.dead`,
      partitions,
      sessionTimeoutMs,
      maxBatchRecords: 20,
      flushEveryMs,
      workingSetBytes,
      trapFile,
      bug,
      ...(instanceId === null ? {} : { instanceId }),
    };
    return [program, JSON.stringify(settings)];
  }

  /** A worker that runs, by chance. */
  anyWorker(): RunningWorker {
    const worker = this.workers[this.random.below(this.workers.length)];
    return worker ?? this.startWorker();
  }

  /** Kills it, and resolves when it is gone. */
  async kill(worker: RunningWorker): Promise<void> {
    await this.#end(worker, 'SIGKILL');
  }

  async killAll(): Promise<void> {
    await Promise.all(this.workers.map((worker) => this.kill(worker)));
  }

  /** Lets it leave in order. */
  async leave(worker: RunningWorker): Promise<void> {
    await this.#end(worker, 'SIGTERM');
  }

  /** Sets a trap for a worker; whether it went into it in time. Where it did not, the trap is gone. */
  async trap(worker: RunningWorker, trap: Trap): Promise<boolean> {
    worker.isEnding ||= trap.signal === 'SIGKILL';
    setTrap(worker.trapFile, trap);
    const isIn = (): boolean =>
      trap.signal === 'SIGKILL' ? worker.child.signalCode !== null : stateOf(worker.child.pid ?? 0) === 'T';
    if (await waitUntil(isIn, trapPatienceMs)) return true;
    // Where it cannot be taken away any more, the worker is about to go in.
    if (!takeTrap(worker.trapFile)) return waitUntil(isIn, trapPatienceMs);
    worker.isEnding = false;
    return false;
  }

  pause(shortestMs: number, longestMs: number): Promise<void> {
    return systemClock.sleep(shortestMs + this.random.below(longestMs - shortestMs));
  }

  /** Waits until so many more outputs were seen, or time is up: faults may be what keeps them from coming. */
  async progress(outputs: number, withinMs: number = 20_000): Promise<void> {
    const goal = this.#seen.length + outputs;
    await waitUntil(() => this.#seen.length >= goal, withinMs);
  }

  /** Ends the faults, and gives what is broken. */
  async finish(): Promise<RealViolation[]> {
    this.services.kafkaProxy.setMode('pass');
    this.services.kafkaProxy.cutEvery(null);
    this.services.kafkaProxy.setDelay(0);
    this.redis.proxy.setMode('pass');
    this.redis.proxy.cutEvery(null);
    this.redis.proxy.setDelay(0);
    while (this.workers.length < this.#shape.workers) this.startWorker();
    await this.#feed.end();
    const violations: RealViolation[] = [];
    const behind = await this.#catchUp();
    if (behind !== null) violations.push({ invariant: 'I9', what: behind });
    await Promise.all(this.workers.map((worker) => this.leave(worker)));
    for (const death of this.#deaths) violations.push({ invariant: 'I9', what: death });
    const halt = /^halted .*$/m.exec(this.#logs);
    if (halt !== null) violations.push({ invariant: 'I9', what: `a task halted: ${halt[0]}` });
    violations.push(...(await this.check()));
    return violations;
  }

  /** What the checker finds as things are now. */
  async check(): Promise<RealViolation[]> {
    const { directBroker, sql } = this.services;
    const byTopic = (topic: string): Promise<RawMessage[]> =>
      dump(directBroker, { [`${this.name}.${topic}`]: partitions });
    const outputs = await byTopic('out');
    return violationsOf(sql.url, this.name.replaceAll(/\W/g, '_'), {
      input: await byTopic('in'),
      outputs,
      sinkRows: this.sink === null ? null : await this.sink.rows(outputs.length, catchUpMs),
      deadLetters: await byTopic('dead'),
      seen: this.#seen,
      commits: await dumpCommits(directBroker, this.#group, this.input),
      state: await this.storedState(),
      logs: this.#logs,
    });
  }

  /** What is in its Redis now. */
  storedState(): Promise<StoredState> {
    const task = (partition: number): string => `${this.#group}.${this.input}-${partition}`;
    const rolling = this.#shape.worker === 'the command' ? commandOperator : 'rolling';
    return readStoredState(this.redis.directPort, task, partitions, rolling);
  }

  /** The consumer group, with whose name those of tasks begin. */
  get #group(): string {
    return this.#shape.worker === 'the command' ? `${commandApp}.${this.name}` : this.name;
  }

  /** Ends whatever still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.killAll();
    await this.#feed.end();
    this.#isReading = false;
    await this.#reading;
    await this.#reader.close();
    await this.redis[Symbol.asyncDispose]();
    await this.sink?.[Symbol.asyncDispose]();
  }

  async #read(): Promise<void> {
    while (this.#isReading) this.#seen.push(...(await this.#reader.next(50)));
  }

  /** What is missing when time is up; `null` where everything was caught up with. */
  async #catchUp(): Promise<string | null> {
    const { directBroker } = this.services;
    const input = await dump(directBroker, { [this.input]: partitions });
    const ends = new Map<number, number>();
    for (const { partition, offset } of input) ends.set(partition, Math.max(ends.get(partition) ?? 0, offset + 1));
    using admin = new RawAdmin(directBroker);
    let positions = new Map<number, number>();
    const isThere = async (): Promise<boolean> => {
      positions = await admin.positions(this.#group, this.input, partitions);
      return [...ends].every(([partition, end]) => (positions.get(partition) ?? 0) >= end);
    };
    const isOver = async (): Promise<boolean> => (await isThere()) || this.#logs.includes('\nhalted ');
    if ((await waitUntil(isOver, catchUpMs)) && (await isThere())) return null;
    const lags = [...ends].map(([partition, end]) => `${partition}: ${positions.get(partition) ?? 0} of ${end}`);
    return `not caught up within ${catchUpMs / 1_000} s of the last fault: ${lags.join(', ')}`;
  }

  async #end(worker: RunningWorker, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = worker;
    worker.isEnding = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    const patience = new AbortController();
    const insist = systemClock.sleep(leavesWithinMs, patience.signal).then(() => {
      if (child.exitCode === null && child.signalCode === null) {
        this.#deaths.push(`a worker did not leave within ${leavesWithinMs / 1_000} s`);
        child.kill('SIGKILL');
      }
    });
    await gone;
    patience.abort();
    await insist;
    // The client is native code: closed at the wrong moment, it takes the process down. (SIGTERM itself ends one that had not begun.)
    const { signalCode } = child;
    if (signal === 'SIGTERM' && signalCode !== null && signalCode !== 'SIGTERM' && signalCode !== 'SIGKILL') {
      this.#deaths.push(`a worker that was to leave ended by ${String(signalCode)}`);
    }
  }
}

function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0] ?? '';
  } catch {
    return '';
  }
}
