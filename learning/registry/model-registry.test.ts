import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModelReference } from './model-reference.ts';
import { type ManifestDraft, ModelRegistry } from './model-registry.ts';

const draft: ManifestDraft = {
  name: 'fraud',
  createdAt: '2018-08-08T03:00:00Z',
  trainedOn: { from: '2018-07-04T00:00:00Z', to: '2018-08-01T00:00:00Z', rowCount: 268_000, positiveCount: 2_400 },
  validatedOn: null,
  features: [
    { name: 'amount', default: null },
    { name: 'card_count_1d', default: 0 },
  ],
  featureSetDigest: 'f0'.repeat(32),
  metrics: { averagePrecision: 0.75 },
  threshold: { value: 0.42, policy: { kind: 'f-beta', beta: 1 } },
  trainer: {
    name: 'sluice-trees',
    params: { treeCount: 150, seed: 7, earlyStopping: { metric: 'log-loss', patienceTrees: 5 } },
  },
};
const model = Uint8Array.of(1, 2, 3);

describe('ModelRegistry', () => {
  let directory = '';
  let registry = new ModelRegistry(directory);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-registry-'));
    registry = new ModelRegistry(directory);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('gives versions from 1 on, and loads what was published', async () => {
    const first = await registry.publish(draft, model);
    const second = await registry.publish(draft, Uint8Array.of(4));
    expect([first.version, second.version]).toEqual([1, 2]);
    expect(await registry.versions('fraud')).toEqual([1, 2]);
    const loaded = await registry.load('fraud@1');
    expect(loaded.manifest).toEqual({ ...draft, format: 1, version: 1, modelDigest: first.modelDigest });
    expect([...loaded.bytes]).toEqual([1, 2, 3]);
    expect(first.modelDigest).toBe('039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81');
  });

  it('gives two publishers at once two versions, each whole', async () => {
    const others = Array.from({ length: 8 }, () => new ModelRegistry(directory));
    const manifests = await Promise.all(others.map((other, i) => other.publish(draft, Uint8Array.of(i))));
    expect(manifests.map(({ version }) => version).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    for (const { version, modelDigest } of manifests) {
      expect((await registry.load(`fraud@${version}`)).manifest.modelDigest).toBe(modelDigest);
    }
    expect((await readdir(join(directory, 'fraud'))).filter((entry) => entry.startsWith('.'))).toEqual([]);
  });

  it('moves the champion to previous on promotion, and back on rollback', async () => {
    for (let i = 0; i < 3; i++) await registry.publish(draft, Uint8Array.of(i));
    expect(await registry.promote('fraud', 1)).toEqual({ champion: 1 });
    expect(await registry.challenge('fraud', 2)).toEqual({ champion: 1, challenger: 2 });
    expect(await registry.promote('fraud', 2)).toEqual({ champion: 2, previous: 1 });
    expect(await registry.challenge('fraud', 3)).toEqual({ champion: 2, previous: 1, challenger: 3 });
    expect(await registry.rollback('fraud')).toEqual({ champion: 1, previous: 2, challenger: 3 });
    expect((await registry.load('fraud')).manifest.version).toBe(1);
    expect((await registry.load('fraud@previous')).manifest.version).toBe(2);
    expect(await new ModelRegistry(directory).aliases('fraud')).toEqual({ champion: 1, previous: 2, challenger: 3 });
  });

  it('keeps previous where the champion is promoted once more', async () => {
    for (let i = 0; i < 2; i++) await registry.publish(draft, Uint8Array.of(i));
    await registry.promote('fraud', 1);
    await registry.promote('fraud', 2);
    expect(await registry.promote('fraud', 2)).toEqual({ champion: 2, previous: 1 });
  });

  it('names what there is where a model is unknown', async () => {
    await registry.publish(draft, model);
    const unknown = { code: 'MODEL_UNKNOWN', message: expect.stringMatching(/versions: 1; aliases: none/) };
    await expect(registry.load('fraud@champion')).rejects.toMatchObject(unknown);
    await expect(registry.load('fraud@2')).rejects.toMatchObject(unknown);
    await expect(registry.promote('fraud', 9)).rejects.toMatchObject(unknown);
    await expect(registry.rollback('fraud')).rejects.toMatchObject(unknown);
    await expect(registry.load('other')).rejects.toMatchObject({ message: expect.stringContaining('versions: none') });
  });

  it('refuses a model whose bytes are not those that were published', async () => {
    await registry.publish(draft, model);
    await writeFile(join(directory, 'fraud/1/model.onnx'), Uint8Array.of(1, 2, 4));
    await expect(registry.load('fraud@1')).rejects.toMatchObject({ code: 'REGISTRY_CORRUPT' });
  });

  it('refuses files that were cut or edited, naming the file or the field', async () => {
    await registry.publish(draft, model);
    const path = join(directory, 'fraud/1/manifest.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.slice(0, 100));
    await expect(registry.load('fraud@1')).rejects.toMatchObject({ code: 'REGISTRY_CORRUPT' });
    await writeFile(path, text.replace('"threshold"', '"treshold"'));
    await expect(registry.load('fraud@1')).rejects.toMatchObject({
      code: 'MODEL_MANIFEST_INVALID',
      message: expect.stringContaining('threshold'),
    });
    await writeFile(join(directory, 'fraud/aliases.json'), '{"champoin":1}');
    await expect(registry.aliases('fraud')).rejects.toMatchObject({ code: 'REGISTRY_CORRUPT' });
  });

  it('refuses a draft that is no manifest, and a name that would leave the directory', async () => {
    const invalid = { code: 'MODEL_MANIFEST_INVALID' };
    await expect(registry.publish({ ...draft, name: '../fraud' }, model)).rejects.toMatchObject(invalid);
    await expect(registry.publish({ ...draft, metrics: { auc: NaN } }, model)).rejects.toMatchObject(invalid);
    const twice = [draft.features[0], draft.features[0]].filter((feature) => feature !== undefined);
    await expect(registry.publish({ ...draft, features: twice }, model)).rejects.toMatchObject(invalid);
    expect(await readdir(directory)).toEqual([]);
  });

  it('says what to do where its directory cannot be read', async () => {
    const file = join(directory, 'a-file');
    await writeFile(file, '');
    await expect(new ModelRegistry(file).publish(draft, model)).rejects.toMatchObject({
      code: 'REGISTRY_CORRUPT',
    });
  });
});

describe('parseModelReference', () => {
  it('reads aliases and versions, and takes a bare name for its champion', () => {
    expect(parseModelReference('fraud@challenger')).toEqual({ name: 'fraud', version: 'challenger' });
    expect(parseModelReference('fraud@12')).toEqual({ name: 'fraud', version: 12 });
    expect(parseModelReference('fraud')).toEqual({ name: 'fraud', version: 'champion' });
  });

  it('refuses everything else', () => {
    for (const text of ['', 'fraud@', 'fraud@0', 'fraud@champoin', 'fraud@1@2', '../fraud', 'Fraud', '@champion']) {
      expect(() => parseModelReference(text)).toThrow(expect.objectContaining({ code: 'MODEL_REFERENCE_INVALID' }));
    }
  });
});
