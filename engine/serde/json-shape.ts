import { FieldNames } from './field-names.ts';
import type { PathGroup } from './field-path.ts';
import { unescapeText } from './json-text.ts';
import type { RecordRules } from './record-rules.ts';

/** How many keys of an object have their names guessed from the object before; later ones are looked up. */
const guessedKeys = 256;

/** What the JSON decoder knows of an object: the message itself, or one in it whose members are declared fields. Made once. */
export class JsonShape {
  /** Each name as it stands in JSON (see {@link FieldNames}), here so that the decoder's loop finds everything in one place. */
  readonly words: Int32Array;
  readonly wordStarts: Int32Array;
  readonly masks: Int32Array;
  readonly lengths: Int32Array;
  /** The field that each name is; -1 for an object of fields. */
  readonly fields: Int32Array;
  /** The object that each name is; `undefined` for a field. */
  readonly objects: readonly (JsonShape | undefined)[];
  /** The name of the i-th key, as it was in the object before; -1 when that key was none of ours. Kept by the decoder. */
  readonly guesses: Int32Array;
  readonly #names: FieldNames;
  /** The names that the object may have; `null`: any. */
  readonly #known: ReadonlySet<string> | null;

  /**
   * @param closed by object (`''` is the message itself), the names that it may have; objects that are not there may have any.
   * @param name the object's.
   */
  constructor(groups: readonly PathGroup[], closed: RecordRules['closed'] = {}, name: string = '') {
    const known = closed[name];
    this.#known = known === undefined ? null : new Set(known);
    this.#names = new FieldNames(groups.map((group) => group.name));
    this.words = this.#names.words;
    this.wordStarts = this.#names.wordStarts;
    this.masks = this.#names.masks;
    this.lengths = this.#names.lengths;
    this.fields = Int32Array.from(groups, (group) => group.field);
    this.objects = groups.map((group) =>
      group.field < 0 ? new JsonShape(group.members, closed, group.name) : undefined,
    );
    this.guesses = new Int32Array(guessedKeys).fill(-1);
    groups.slice(0, guessedKeys).forEach((_, index) => {
      this.guesses[index] = index;
    });
  }

  /** The number of the name that is written, escapes and all, in `data[start, end)`, or -1 when it is none of ours. The name must be well-formed. */
  find(data: Uint8Array, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      if (data[at] !== 0x5c) continue;
      const name = new Uint8Array(end - start);
      const length = unescapeText(data, start, end, name, 0);
      return length < 0 ? -1 : this.#names.find(name, 0, length);
    }
    return this.#names.find(data, start, end);
  }

  /** Whether the object may not have the name that is written in `data[start, end)`. Called for names that {@link find} does not know. */
  isClosedTo(data: Uint8Array, start: number, end: number): boolean {
    if (this.#known === null) return false;
    return !this.#known.has(JSON.parse(`"${Buffer.from(data.subarray(start, end)).toString()}"`) as string);
  }
}
