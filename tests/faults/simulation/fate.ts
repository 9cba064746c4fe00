import type { ProducerFault } from '../../../engine/sink/kafka/task-producer.ts';

/** A step of the protocol: every call by which a process reaches the world outside it. */
export type CallKind =
  | 'ranges'
  | 'poll'
  | 'open producer'
  | 'init'
  | 'begin'
  | 'send'
  | 'send position'
  | 'commit'
  | 'abort'
  | 'committed'
  | 'info'
  | 'claim'
  | 'read'
  | 'write'
  | 'scan'
  | 'sleep';

/**
 * What becomes of one call. `effect`: what the service does (`late`: the request is still on its way, and is carried out at some later moment). `outcome`:
 * what the process sees of it: the answer, a failure, nothing because it died, or the answer after a pause in which another process has taken over.
 */
export interface Fate {
  readonly effect: 'none' | 'once' | 'twice' | 'late';
  readonly outcome: 'answer' | 'fail' | 'crash' | 'pause';
  /** What a failed call of a producer says. */
  readonly fault: ProducerFault;
}

const fate = (effect: Fate['effect'], outcome: Fate['outcome'], fault: ProducerFault = 'resume'): Fate => ({
  effect,
  outcome,
  fault,
});

/** The call does what it should. */
export const asItShould: Fate = fate('once', 'answer');

const deaths: readonly Fate[] = [fate('none', 'crash'), fate('once', 'crash'), fate('late', 'crash')];
const pauses: readonly Fate[] = [fate('none', 'pause'), fate('once', 'pause')];
const redisFaults: readonly Fate[] = [
  fate('none', 'fail'),
  fate('once', 'fail'),
  fate('late', 'fail'),
  fate('twice', 'answer'),
];
const unanswered: readonly Fate[] = [fate('none', 'fail')];
const producerFaults = (...faults: readonly ProducerFault[]): readonly Fate[] =>
  faults.flatMap((fault) => [fate('none', 'fail', fault), fate('once', 'fail', fault), fate('late', 'fail', fault)]);

/** Every way in which a call can go wrong. */
export const faultsOf: Readonly<Record<CallKind, readonly Fate[]>> = {
  ranges: [fate('none', 'crash'), ...pauses, ...unanswered],
  poll: [fate('none', 'crash'), ...pauses, ...unanswered],
  'open producer': [fate('none', 'crash'), ...pauses, ...unanswered],
  init: [...deaths, ...pauses, ...producerFaults('resume', 'broken')],
  begin: [fate('none', 'crash'), ...pauses, fate('none', 'fail', 'resume'), fate('none', 'fail', 'abort')],
  send: [...deaths, ...pauses, ...producerFaults('resume', 'abort', 'broken')],
  'send position': [...deaths, ...pauses, ...producerFaults('resume', 'abort', 'broken')],
  commit: [...deaths, ...pauses, ...producerFaults('resume', 'broken'), fate('none', 'fail', 'abort')],
  abort: [...deaths, ...pauses, ...producerFaults('resume', 'broken')],
  committed: [fate('none', 'crash'), ...pauses, ...unanswered],
  info: [fate('none', 'crash'), ...unanswered],
  claim: [...deaths, ...pauses, ...redisFaults],
  read: [fate('none', 'crash'), ...pauses, ...unanswered],
  write: [...deaths, ...pauses, ...redisFaults],
  scan: [fate('none', 'crash'), ...pauses, ...unanswered],
  sleep: [fate('none', 'crash'), fate('none', 'pause')],
};

/** In the words of an event list. */
export function wordsOf({ effect, outcome, fault }: Fate): string {
  const seen = { answer: '', fail: `fails (${fault})`, crash: 'process dies', pause: 'process freezes' }[outcome];
  const done = { none: 'nothing done', once: 'done', twice: 'done twice', late: 'done later' }[effect];
  return seen === '' ? done : `${done}, ${seen}`;
}
