import type { FieldType } from '../../engine/record/schema.ts';

/** Stands between the parts of a composite key; see `encode-keys.ts`. */
const separator = 0xff;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The parts of a key that `encodeKeys` wrote, as text. */
export function keyParts(key: Uint8Array): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = key.indexOf(separator); at >= 0; at = key.indexOf(separator, from)) {
    parts.push(decoder.decode(key.subarray(from, at)));
    from = at + 1;
  }
  parts.push(decoder.decode(key.subarray(from)));
  return parts;
}

/** The bytes of a key whose parts are given as text, as `encodeKeys` writes them. Called with what a person names a key by. */
export function keyOfParts(parts: readonly string[]): Uint8Array {
  const texts = parts.map((part) => encoder.encode(part));
  const key = new Uint8Array(texts.reduce((size, text) => size + text.length + 1, -1));
  let at = 0;
  texts.forEach((text, index) => {
    if (index > 0) key[at++] = separator;
    key.set(text, at);
    at += text.length;
  });
  return key;
}

/** A part of a key as a field of that type has it: a number where the field is one. */
export function keyPartValue(part: string, type: FieldType): string | number {
  return type === 'string' ? part : Number(part);
}
