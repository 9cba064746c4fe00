import { messageOf, SluiceError } from '../../../engine/error.ts';

/** What became of a check. `warned`: the job may start, and somebody should read this. `not looked at`: another one was refused that it rests on. */
export type CheckOutcome = 'ok' | 'warned' | 'refused' | 'not looked at';

/** One line of `sluice doctor`. */
export interface CheckResult {
  /** What was looked at: "input topic transactions". */
  readonly thing: string;
  readonly outcome: CheckOutcome;
  /** What was found; of a refusal, what to do, too. Holds no secret. */
  readonly words: string;
  /** Of a refusal: the error that a run would end with. */
  readonly code: string | null;
}

/** What a check found that refuses nothing. */
export interface Finding {
  readonly outcome: 'ok' | 'warned';
  readonly words: string;
}

/** All is well. */
export function fine(words: string): Finding {
  return { outcome: 'ok', words };
}

/** All is not well, and nothing is lost by it. */
export function warned(words: string): Finding {
  return { outcome: 'warned', words };
}

/** Checks that are made one after the other, all of them, whatever the others find. */
export class Checklist {
  readonly results: CheckResult[] = [];

  /** Makes a check: what it throws refuses. @returns whether it did not. */
  async check(thing: string, look: () => Promise<Finding>): Promise<boolean> {
    try {
      this.results.push({ thing, code: null, ...(await look()) });
      return true;
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      this.results.push({ thing, outcome: 'refused', words: messageOf(error), code: error.code });
      return false;
    }
  }

  /** Says that things were not looked at, and why. */
  skip(things: readonly string[], why: string): void {
    for (const thing of things) this.results.push({ thing, outcome: 'not looked at', words: why, code: null });
  }
}
