import { SluiceError } from '../error.ts';
import type { Clock } from '../time/clock.ts';
import { getJson, putJson, type LmdbEnvironment } from './lmdb-environment.ts';
import { forgetOwner, isAlive, OwnerPresence, type Owner } from './owner.ts';

/**
 * How long a claim waits for an owner that is there: a process that was just killed is still answering for as long as the system takes to
 * end it.
 */
const graceMs = 2_000;
const retryMs = 25;

/** What is stored of a claim: how often it has been taken, and by whom it is held. */
interface ClaimRow {
  readonly epoch: number;
  readonly owner: Owner | null;
}

/** A name of the directory that this process holds. `epoch` rises with every taking, so that a former holder can be told by it. */
export interface Claim {
  readonly name: string;
  readonly epoch: number;
}

/**
 * Who may write what, across processes: a *name* (a job, a follower's group) belongs to one process at a time, and within that process to
 * its latest taker. Held until it is released, or until the process is gone.
 */
export class Claims implements AsyncDisposable {
  readonly #environment: LmdbEnvironment;
  readonly #clock: Clock;
  #presence: Promise<OwnerPresence> | null = null;

  constructor(environment: LmdbEnvironment, clock: Clock) {
    this.#environment = environment;
    this.#clock = clock;
  }

  /**
   * Takes a name, from a dead process or from an earlier taker in this one.
   *
   * @throws {SluiceError} `DIRECTORY_IN_USE` when another living process holds it, after a moment's grace.
   */
  async take(name: string): Promise<Claim> {
    const deadlineMs = this.#clock.monotonicMs() + graceMs;
    for (;;) {
      const taken = await this.tryTake(name);
      if ('epoch' in taken) return taken;
      if (this.#clock.monotonicMs() >= deadlineMs) throw this.#inUse(name, taken);
      await this.#clock.sleep(retryMs);
    }
  }

  /** The same without waiting; the living owner where there is one. */
  async tryTake(name: string): Promise<Claim | Owner> {
    const { owner: self } = await this.#present();
    const { directory } = this.#environment;
    for (;;) {
      this.#environment.refresh();
      const before = this.#row(name);
      const holder = before.owner;
      if (holder !== null && holder.id !== self.id && (await isAlive(directory, holder))) return holder;
      const claim = this.#environment.write(`claim ${name}`, () => {
        const now = this.#row(name);
        // Somebody else found the owner dead as well, and was quicker.
        if (now.epoch !== before.epoch || now.owner?.id !== holder?.id) return null;
        const row: ClaimRow = { epoch: now.epoch + 1, owner: self };
        putJson(this.#environment.jobs, ['claim', name], row);
        return { name, epoch: row.epoch };
      });
      if (claim === null) continue;
      if (holder !== null && holder.id !== self.id) forgetOwner(directory, holder);
      return claim;
    }
  }

  /** Whether a claim is still its holder's. Called within the transaction that it guards, or the answer is old. */
  holds(claim: Claim): boolean {
    return this.#row(claim.name).epoch === claim.epoch;
  }

  /** Gives a name back, if it is still held. */
  release(claim: Claim): void {
    this.#environment.write(`release ${claim.name}`, () => {
      if (this.holds(claim))
        putJson(this.#environment.jobs, ['claim', claim.name], { epoch: claim.epoch, owner: null });
    });
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    const presence = await this.#presence;
    await presence?.[Symbol.asyncDispose]();
  }

  #present(): Promise<OwnerPresence> {
    this.#presence ??= OwnerPresence.open(this.#environment.directory, this.#clock.nowMs());
    return this.#presence;
  }

  #row(name: string): ClaimRow {
    const row = getJson(this.#environment.jobs, ['claim', name]);
    // The one place that writes it is above.
    return row === undefined ? { epoch: 0, owner: null } : (row as ClaimRow);
  }

  #inUse(name: string, owner: Owner): SluiceError {
    const since = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' }).format(
      owner.sinceMs,
    );
    return new SluiceError(
      'DIRECTORY_IN_USE',
      `${name} must run in one process at a time; got a second one for ${this.#environment.directory}, where process ${owner.pid} has been running it ` +
        `since ${since} UTC. Stop that process, or give this one another data directory`,
      { fields: { directory: this.#environment.directory, pid: owner.pid, sinceMs: owner.sinceMs, name } },
    );
  }
}
