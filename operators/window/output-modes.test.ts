import { describe, expect, it } from 'vitest';
import { judgeOutputMode, type OutputMode, type ResultKind } from './output-modes.ts';

const modes: readonly OutputMode[] = ['append', 'update', 'complete'];

/** What is said of a kind of results in each mode: what it may be instead, or nothing where it may be. */
function expectedIn(kind: ResultKind): (string | null)[] {
  return modes.map((mode) => {
    const verdict = judgeOutputMode(kind, mode);
    return verdict === 'ok' ? null : verdict.expected;
  });
}

function reasonOf(kind: ResultKind, mode: OutputMode): string {
  const verdict = judgeOutputMode(kind, mode);
  return verdict === 'ok' ? 'ok' : verdict.message;
}

describe('what can be published in which output mode', () => {
  it('is Spark’s matrix, and count windows after its reasons', () => {
    expect(expectedIn('records')).toEqual([null, null, 'append']);
    expect(expectedIn('timeWindows')).toEqual([null, null, null]);
    expect(expectedIn('sessionWindows')).toEqual([null, 'append, or complete', null]);
    expect(expectedIn('countWindows')).toEqual([null, null, 'append or update']);
  });

  it('is said with the reason', () => {
    expect(reasonOf('records', 'complete')).toMatch(/^complete publishes a whole table of results/);
    expect(reasonOf('sessionWindows', 'update')).toMatch(/two sessions that merge would leave the result of one/);
    expect(reasonOf('countWindows', 'complete')).toMatch(/^complete keeps every window, and count windows/);
  });
});
