import { SluiceError } from '../../engine/error.ts';

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder('utf-8', { fatal: true });

/**
 * How the state that a person's function keeps becomes bytes. The bytes are the state: what `get` gives is decoded anew for each record, so a function that changes it in place
 * and then throws has changed nothing, and a replay sees what the first run saw.
 */
export interface StateCodec<State> {
  /** Of the form that `encode` writes; stored with each state. A whole number from 1 to 2^32 − 1. */
  readonly version: number;
  /** @throws {TypeError} where a state cannot be kept; names types and places, never values. */
  encode(state: State): Uint8Array;
  /**
   * @param version of the form that the bytes are in: the codec's own, or an earlier one's.
   * @throws {SluiceError} `STATE_VERSION` for a form that it does not know.
   */
  decode(bytes: Uint8Array, version: number): State;
}

/** What {@link jsonState} may be told. */
export interface JsonStateOptions<State> {
  /** Default 1. To be raised with each change of the state's form. */
  readonly version?: number;
  /** Makes a state of one that was stored in an earlier version. Without it such a state ends the query. */
  readonly upgrade?: (earlier: unknown, version: number) => State;
}

/**
 * State as JSON: numbers, texts, booleans, null, and lists and objects of them. Anything else (a number that is not finite, `undefined`, a date, a map) is refused, since
 * `JSON.stringify` would make something else of it in silence.
 */
export function jsonState<State>({ version = 1, upgrade }: JsonStateOptions<State> = {}): StateCodec<State> {
  return {
    version,
    encode(state) {
      refuseOthers(state, 'state');
      return textEncoder.encode(JSON.stringify(state));
    },
    decode(bytes, storedVersion) {
      const stored: unknown = JSON.parse(textDecoder.decode(bytes));
      if (storedVersion === version) return stored as State;
      if (upgrade !== undefined && storedVersion < version) return upgrade(stored, storedVersion);
      throw new SluiceError(
        'STATE_VERSION',
        `stored state must have version ${version}, or an earlier one that "upgrade" makes it of; got ${storedVersion}: give jsonState an upgrade, or rebuild the state from the log`,
      );
    },
  };
}

function refuseOthers(value: unknown, place: string): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return;
    throw new TypeError(`${place} must be finite; got another number`);
  }
  if (Array.isArray(value)) {
    // By number, so that a hole, which JSON would fill with null, is seen.
    for (let index = 0; index < value.length; index++) refuseOthers(value[index], `${place}[]`);
    return;
  }
  const prototype: unknown = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
  if (prototype === Object.prototype || prototype === null) {
    for (const member of Object.values(value as object)) refuseOthers(member, `${place}.…`);
    return;
  }
  throw new TypeError(`${place} must be JSON: a number, text, boolean, null, list or object; got a ${kindOf(value)}`);
}

function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? value.constructor.name : typeof value;
}
