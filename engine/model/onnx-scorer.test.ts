import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { packageFile } from '../package-file.ts';
import { bindModel } from './check-signature.ts';
import { OnnxScorer } from './onnx-scorer.ts';
import type { ModelTensor } from './scorer.ts';

/** The model that the repository ships, as its registry has it. */
async function shipped(): Promise<{ bytes: Uint8Array; features: string[] }> {
  const directory = packageFile('models/fraud/1');
  const manifest = JSON.parse(await readFile(`${directory}/manifest.json`, 'utf8')) as { features: { name: string }[] };
  return { bytes: await readFile(`${directory}/model.onnx`), features: manifest.features.map(({ name }) => name) };
}

const tensor = (name: string, shape: readonly (number | null)[], type: string | null = 'float32'): ModelTensor => {
  return { name, type, shape };
};

describe('the ONNX scorer', () => {
  it('scores off the event loop: the loop turns while a large batch is being scored', async () => {
    const model = await shipped();
    await using scorer = await OnnxScorer.open({ name: 'fraud@1', ...model });
    const rows = 20_000;
    let turns = 0;
    let scoring = true;
    const turn = (): void => {
      turns++;
      if (scoring) setImmediate(turn);
    };
    setImmediate(turn);
    const probabilities = await scorer.score(new Float32Array(rows * model.features.length), rows);
    scoring = false;
    expect(probabilities).toHaveLength(rows);
    expect(probabilities.every((value) => value >= 0 && value <= 1)).toBe(true);
    expect(turns).toBeGreaterThan(10);
  });

  it('answers overlapping calls each with its own rows, the same as one by one', async () => {
    const model = await shipped();
    const width = model.features.length;
    await using scorer = await OnnxScorer.open({ name: 'fraud@1', ...model });
    const batchOf = (seed: number): Float32Array =>
      Float32Array.from({ length: 3 * width }, (_, i) => ((i * 37 + seed) % 400) / 3);
    const together = await Promise.all([1, 2, 3].map((seed) => scorer.score(batchOf(seed), 3)));
    for (const [index, seed] of [1, 2, 3].entries())
      expect(await scorer.score(batchOf(seed), 3)).toEqual(together[index]);
    expect(await scorer.score(new Float32Array(0), 0)).toHaveLength(0);
  });

  it('refuses a file that is no model, in words, and lets the process end', async () => {
    const opening = OnnxScorer.open({
      name: 'fraud@9',
      bytes: new TextEncoder().encode('not a model'),
      features: ['a'],
    });
    await expect(opening).rejects.toMatchObject({ code: 'MODEL_FAILED', message: expect.stringContaining('fraud@9') });
  });

  it('refuses a model whose inputs are not the features of its manifest', async () => {
    const { bytes, features } = await shipped();
    const opening = OnnxScorer.open({ name: 'fraud@1', bytes, features: features.slice(1) });
    await expect(opening).rejects.toMatchObject({ code: 'MODEL_INPUT_MISMATCH' });
  });

  it('fails what it was asked, and whatever comes after, once it is closed', async () => {
    const scorer = await OnnxScorer.open({ name: 'fraud@1', ...(await shipped()) });
    await scorer[Symbol.asyncDispose]();
    await expect(scorer.score(new Float32Array(1), 1)).rejects.toMatchObject({ code: 'MODEL_FAILED' });
  });
});

describe('binding a model to its features', () => {
  const probabilities = [tensor('label', [null], 'int64'), tensor('probabilities', [null, 2])];

  it('takes one matrix, or one column a feature by name, in any order', () => {
    expect(bindModel('m', { inputs: [tensor('x', [null, 2])], outputs: probabilities }, ['a', 'b'])).toMatchObject({
      form: 'matrix',
      inputs: ['x'],
      output: 'probabilities',
      outputWidth: 2,
    });
    const columns = [tensor('b', [null, 1]), tensor('a', [null, 1])];
    expect(bindModel('m', { inputs: columns, outputs: [tensor('p', [null, 1])] }, ['a', 'b'])).toMatchObject({
      form: 'columns',
      inputs: ['a', 'b'],
      output: 'p',
      outputWidth: 1,
    });
  });

  it.each([
    ['another number of features', [tensor('x', [null, 3])], 'takes 3 features'],
    ['a column of another name', [tensor('a', [null, 1]), tensor('c', [null, 1])], 'c: float32[rows, 1]'],
    ['a column of another type', [tensor('a', [null, 1]), tensor('b', [null, 1], 'int64')], 'b: int64[rows, 1]'],
  ])('refuses %s, and says what there is', (_, inputs, words) => {
    expect(() => bindModel('m@1', { inputs, outputs: probabilities }, ['a', 'b'])).toThrow(words);
  });

  it('refuses an output that is no probability a row', () => {
    const inputs = [tensor('x', [null, 1])];
    const maps = [tensor('output_probability', [], null)];
    expect(() => bindModel('m@1', { inputs, outputs: maps }, ['a'])).toThrow('without ZipMap');
    expect(() => bindModel('m@1', { inputs, outputs: [tensor('p', [null, 5])] }, ['a'])).toThrow(
      'one or two probabilities',
    );
  });
});
