import { Redis } from 'ioredis';
import { systemClock } from '../../../engine/time/clock.ts';
import type { TcpProxy } from '../../../tools/services/tcp-proxy.ts';
import { sessionTimeoutMs, type FaultRun } from './fault-run.ts';
import type { Seam } from './seams.ts';

/** One fault, or a few of one kind: done to a run that goes on meanwhile, and mended where the world would mend it. Counts what it did. */
export type Act = (run: FaultRun) => Promise<void>;

/** Long enough for the group to give a frozen worker's partitions to another, which then commits. */
const untilTakenOverMs = sessionTimeoutMs + 1_000;

const killWorker: Act = async (run) => {
  await run.kill(run.anyWorker());
  run.faults++;
  run.startWorker();
};

const killAt =
  (at: Seam): Act =>
  async (run) => {
    if (await run.trap(run.anyWorker(), { at, signal: 'SIGKILL' })) run.faults++;
    run.startWorker();
  };

/** Freezes a worker until its tasks are another's; then it wakes, and believes that they are its own. */
const freezeAt =
  (at: Seam): Act =>
  async (run) => {
    const worker = run.anyWorker();
    if (!(await run.trap(worker, { at, signal: 'SIGSTOP' }))) return;
    run.faults++;
    await systemClock.sleep(untilTakenOverMs);
    worker.child.kill('SIGCONT');
  };

const freezeWorker: Act = async (run) => {
  const worker = run.anyWorker();
  worker.child.kill('SIGSTOP');
  run.faults++;
  await systemClock.sleep(untilTakenOverMs);
  worker.child.kill('SIGCONT');
};

const comeAndGo: Act = async (run) => {
  for (let i = 0; i < 3; i++) {
    run.startWorker();
    await run.pause(400, 900);
    if (run.random.oneIn(2)) await run.kill(run.anyWorker());
    else void run.leave(run.anyWorker());
    run.faults++;
    await run.pause(50, 300);
  }
};

const restartRedis: Act = async (run) => {
  await run.redis.restart();
  run.faults++;
};

const redisGoesBack: Act = async (run) => {
  run.redis.remember();
  await run.progress(150, 5_000);
  await run.redis.goBack();
  run.faults++;
};

const redisLosesItsTail: Act = async (run) => {
  await run.redis.loseTail(200 + run.random.below(20_000));
  run.faults++;
};

const redisLosesAll: Act = async (run) => {
  const redis = new Redis({ host: '127.0.0.1', port: run.redis.directPort });
  await redis.flushall();
  redis.disconnect();
  run.faults++;
};

const freezeRedis: Act = async (run) => {
  run.redis.freeze();
  run.faults++;
  await run.pause(500, 4_000);
  run.redis.thaw();
};

const fullDisk: Act = async (run) => {
  run.redis.fillDisk();
  run.faults++;
  await run.pause(1_000, 3_000);
  run.redis.freeDisk();
};

type ProxyOf = (run: FaultRun) => TcpProxy;
const ofKafka: ProxyOf = (run) => run.services.kafkaProxy;
const ofRedis: ProxyOf = (run) => run.redis.proxy;

const cutNow =
  (proxy: ProxyOf): Act =>
  async (run) => {
    for (let i = 0; i < 3; i++) {
      proxy(run).cut();
      run.faults++;
      await run.pause(50, 500);
    }
  };

/** Cuts in the middle of whatever passes, request or answer. */
const cutByBytes =
  (proxy: ProxyOf, bytes: number): Act =>
  async (run) => {
    const before = proxy(run).cuts;
    proxy(run).cutEvery(() => Math.floor(bytes / 4) + run.random.below(bytes));
    await run.pause(1_500, 2_500);
    proxy(run).cutEvery(null);
    run.faults += Math.min(3, proxy(run).cuts - before);
  };

/** Requests arrive, answers do not; then the connection breaks. */
const withhold =
  (proxy: ProxyOf): Act =>
  async (run) => {
    proxy(run).setMode('withhold answers');
    await run.pause(200, 1_500);
    proxy(run).setMode('pass');
    proxy(run).cut();
    run.faults++;
  };

const refuse =
  (proxy: ProxyOf): Act =>
  async (run) => {
    proxy(run).setMode('refuse');
    run.faults++;
    await run.pause(500, 3_000);
    proxy(run).setMode('pass');
  };

const slow =
  (proxy: ProxyOf): Act =>
  async (run) => {
    proxy(run).setDelay(20 + run.random.below(100));
    run.faults++;
    await run.pause(1_000, 2_500);
    proxy(run).setDelay(0);
  };

const restartBroker: Act = async (run) => {
  await run.services.restartBroker();
  run.faults++;
};

const clickHouseAway: Act = async (run) => {
  const bringBack = await run.sink?.killServer();
  run.faults++;
  await run.pause(500, 3_000);
  await bringBack?.();
};

const killSink: Act = async (run) => {
  await run.sink?.killProgram();
  run.faults++;
};

/** The name of an {@link Act}. */
export type ActName =
  | 'killWorker'
  | 'killBeforeCommit'
  | 'killAfterCommit'
  | 'killBeforeStateWrite'
  | 'killAfterStateWrite'
  | 'freezeWorker'
  | 'freezeBeforeCommit'
  | 'freezeBeforeStateWrite'
  | 'comeAndGo'
  | 'restartRedis'
  | 'redisGoesBack'
  | 'redisLosesItsTail'
  | 'redisLosesAll'
  | 'freezeRedis'
  | 'fullDisk'
  | 'cutKafka'
  | 'cutKafkaByBytes'
  | 'withholdKafka'
  | 'refuseKafka'
  | 'slowKafka'
  | 'cutRedis'
  | 'cutRedisByBytes'
  | 'withholdRedis'
  | 'refuseRedis'
  | 'slowRedis'
  | 'restartBroker'
  | 'clickHouseAway'
  | 'killSink';

/** Every kind of fault. */
export const acts: Readonly<Record<ActName, Act>> = {
  killWorker,
  killBeforeCommit: killAt('before the commit'),
  killAfterCommit: killAt('after the commit'),
  killBeforeStateWrite: killAt('before the state write'),
  killAfterStateWrite: killAt('after the state write'),
  freezeWorker,
  freezeBeforeCommit: freezeAt('before the commit'),
  freezeBeforeStateWrite: freezeAt('before the state write'),
  comeAndGo,
  restartRedis,
  redisGoesBack,
  redisLosesItsTail,
  redisLosesAll,
  freezeRedis,
  fullDisk,
  cutKafka: cutNow(ofKafka),
  cutKafkaByBytes: cutByBytes(ofKafka, 20_000),
  withholdKafka: withhold(ofKafka),
  refuseKafka: refuse(ofKafka),
  slowKafka: slow(ofKafka),
  cutRedis: cutNow(ofRedis),
  cutRedisByBytes: cutByBytes(ofRedis, 4_000),
  withholdRedis: withhold(ofRedis),
  refuseRedis: refuse(ofRedis),
  slowRedis: slow(ofRedis),
  restartBroker,
  clickHouseAway,
  killSink,
};
