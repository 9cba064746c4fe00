import { strict as assert } from 'node:assert';
import { claimScript, readScript, scanScript, writeScript } from '../../../engine/state/redis/state-scripts.ts';

/** All that the store holds. A command makes a new one, so that a replica may lag behind by keeping an old one. */
export interface StoredState {
  readonly header: ReadonlyMap<string, string>;
  /** Values by field (in hexadecimal), by the hash's key. */
  readonly hashes: ReadonlyMap<string, ReadonlyMap<string, Buffer>>;
}

/** A command that changed the store. */
export interface StoreCommand {
  readonly kind: 'claim' | 'write' | 'other';
  readonly owner: string;
  readonly after: StoredState;
}

/** Checks that the scripts make; a planted bug leaves one out. */
export interface ScriptRules {
  readonly owner: 'checked' | 'unchecked';
  readonly offset: 'checked' | 'unchecked';
  readonly reads: 'checked' | 'unchecked';
}

const empty: StoredState = { header: new Map(), hashes: new Map() };

/** One task's part of a Redis: the meaning of the scripts, one command after the other, and a replica that may take over without the last of them. */
export class RedisModel {
  readonly rules: ScriptRules;
  /** Every command that changed something, in the history that the present primary knows. */
  readonly history: StoreCommand[] = [];
  /** Raised with every change, failovers included. */
  version = 0;
  state: StoredState = empty;

  constructor(rules: ScriptRules) {
    this.rules = rules;
  }

  get offset(): number | null {
    const offset = this.state.header.get('offset');
    return offset === undefined ? null : Number(offset);
  }

  /** A replica takes over that has not heard of the last `lost` commands. */
  failOver(lost: number): void {
    this.version++;
    this.history.length = Math.max(0, this.history.length - lost);
    this.state = this.history.at(-1)?.after ?? empty;
  }

  eval(script: string, keys: readonly string[], args: readonly (string | Buffer)[]): unknown {
    if (script === claimScript) return this.#claim(text(args[0]), Number(text(args[1])));
    if (script === writeScript) return this.#write(keys, args);
    if (script === scanScript) return this.#scanSome(keys, args);
    assert(script === readScript, 'the store knows four scripts');
    return this.#read(keys, args);
  }

  scan(key: string): Buffer[] {
    return [...(this.state.hashes.get(key) ?? [])].flatMap(([field, value]) => [Buffer.from(field, 'hex'), value]);
  }

  /** A relative write, which the product never makes: for the planted bug that does. */
  increment(owner: string, key: string, field: string, by: number): void {
    const hash = new Map(this.state.hashes.get(key));
    hash.set(field, Buffer.from(String(Number(hash.get(field)?.toString() ?? '0') + by)));
    this.#change('other', owner, { ...this.state, hashes: new Map(this.state.hashes).set(key, hash) });
  }

  #claim(owner: string, floor: number): unknown {
    const { header } = this.state;
    let epoch = Number(header.get('epoch') ?? '0');
    if (header.get('owner') !== owner || epoch <= floor) {
      epoch = Math.max(epoch, floor) + 1;
      const claimed = new Map(header).set('owner', owner).set('epoch', String(epoch));
      this.#change('claim', owner, { ...this.state, header: claimed });
    }
    return [epoch, header.get('offset') ?? null, header.get('metadata') ?? null];
  }

  #refusal(owner: string, own: number): 'FENCED' | 'MISMATCH' | null {
    if (this.rules.owner === 'unchecked') return null;
    const epoch = Number(this.state.header.get('epoch') ?? '0');
    if (epoch > own || (epoch === own && this.state.header.get('owner') !== owner)) return 'FENCED';
    return epoch < own ? 'MISMATCH' : null;
  }

  #write(keys: readonly string[], args: readonly (string | Buffer)[]): string {
    const [owner = '', epoch, before, after = '', metadata = ''] = args.slice(0, 5).map(text);
    const refusal = this.#refusal(owner, Number(epoch));
    if (refusal !== null) return refusal;
    if (this.rules.offset === 'checked') {
      const at = this.state.header.get('offset') ?? '';
      if (at === after) return 'ALREADY';
      if (at !== before) return 'MISMATCH';
    }
    const hashes = new Map(this.state.hashes);
    let next = 5;
    for (const key of keys.slice(1)) {
      const [sets, deletes] = [Number(text(args[next])), Number(text(args[next + 1]))];
      next += 2;
      const hash = new Map(hashes.get(key));
      for (let i = 0; i < sets; i++, next += 2) hash.set(hex(args[next]), Buffer.from(args[next + 1] ?? ''));
      for (let i = 0; i < deletes; i++, next++) hash.delete(hex(args[next]));
      hashes.set(key, hash);
    }
    const header = new Map(this.state.header).set('offset', after).set('metadata', metadata);
    this.#change('write', owner, { header, hashes });
    return 'OK';
  }

  #read(keys: readonly string[], args: readonly (string | Buffer)[]): unknown {
    const refusal = this.#readRefusal(args);
    if (refusal !== null) return refusal;
    const hash = this.state.hashes.get(keys[1] ?? '');
    return args.slice(4).map((field) => hash?.get(hex(field)) ?? null);
  }

  /** A step in byte order of the fields, with the last one as the cursor: keys that stay are given, whatever comes and goes. */
  #scanSome(keys: readonly string[], args: readonly (string | Buffer)[]): unknown {
    const refusal = this.#readRefusal(args);
    if (refusal !== null) return refusal;
    const [cursor = '0', count] = args.slice(4).map(text);
    const hash = this.state.hashes.get(keys[1] ?? '') ?? new Map<string, Buffer>();
    const fields = [...hash.keys()].toSorted().filter((field) => cursor === '0' || field > cursor);
    const step = fields.slice(0, Number(count));
    const next = step.length < fields.length ? (step.at(-1) ?? '0') : '0';
    return [
      Buffer.from(next),
      step.flatMap((field) => [Buffer.from(field, 'hex'), hash.get(field) ?? Buffer.alloc(0)]),
    ];
  }

  #readRefusal(args: readonly (string | Buffer)[]): 'FENCED' | 'MISMATCH' | null {
    if (this.rules.reads === 'unchecked') return null;
    const [owner = '', epoch, at, writingTo] = args.slice(0, 4).map(text);
    const refusal = this.#refusal(owner, Number(epoch));
    if (refusal !== null) return refusal;
    const offset = this.state.header.get('offset') ?? '';
    return offset !== at && offset !== writingTo ? 'MISMATCH' : null;
  }

  #change(kind: StoreCommand['kind'], owner: string, after: StoredState): void {
    this.state = after;
    this.version++;
    this.history.push({ kind, owner, after });
  }
}

function text(argument: string | Buffer | undefined): string {
  return argument === undefined ? '' : argument.toString();
}

function hex(argument: string | Buffer | undefined): string {
  return Buffer.from(argument ?? '').toString('hex');
}
