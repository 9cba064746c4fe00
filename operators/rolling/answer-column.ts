import { numberColumn, utf8Column, type Column } from '../../engine/record/column.ts';
import type { KeyIndex } from '../../engine/state/key-index.ts';
import type { RollingOutput } from './rolling-layout.ts';

/**
 * The column of an output's answers over a batch. Called once for each output of a batch.
 *
 * @param answers a number a row, or, for texts, a code of the dictionary. Null is NaN; a sum that has overflowed is null too, as all arithmetic that leaves the finite numbers is.
 */
export function answerColumn(answers: Float64Array, form: RollingOutput['form'], dictionary: KeyIndex): Column {
  let valid: Uint8Array | null = null;
  for (let row = 0; row < answers.length; row++) {
    if (Number.isFinite(answers[row])) continue;
    valid ??= new Uint8Array(answers.length).fill(1);
    valid[row] = 0;
  }
  return form === 'number' ? numberColumn(answers, valid) : textColumn(answers, valid, dictionary);
}

function textColumn(codes: Float64Array, valid: Uint8Array | null, dictionary: KeyIndex): Column {
  const offsets = new Int32Array(codes.length + 1);
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row] ?? NaN;
    offsets[row + 1] = (offsets[row] ?? 0) + (code === code ? dictionary.keySize(code) : 0);
  }
  const data = new Uint8Array(offsets[codes.length] ?? 0);
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row] ?? NaN;
    if (code === code) dictionary.copyKey(code, data, offsets[row] ?? 0);
  }
  return utf8Column(data, offsets, valid);
}
