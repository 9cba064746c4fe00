import { messageOf, SluiceError } from '../../engine/error.ts';
import type { TreeEnsemble } from '../ensemble/tree-ensemble.ts';
import { TreeNodes } from '../ensemble/tree-nodes.ts';
import { decodeOnnxModel, type OnnxModelFile, type OnnxNode } from './onnx-messages.ts';
import { featureNamesKey } from './write-tree-ensemble.ts';

/**
 * Reads back an ensemble that `writeTreeEnsemble` wrote: the explainer and the tree compiler start from the registered file, so that
 * what they walk is what the runtime runs. It reads that form only, not every tree model that ONNX can express; a model from
 * elsewhere is scored by ONNX Runtime alone.
 *
 * @param name the model's name and version, for errors.
 * @throws {SluiceError} `MODEL_NOT_TREES` where the file is no ONNX file or holds anything but one such classifier.
 */
export function readTreeEnsemble(bytes: Uint8Array, name: string): TreeEnsemble {
  const refuse = (got: string, cause?: unknown): never => {
    throw new SluiceError(
      'MODEL_NOT_TREES',
      `model ${name} must be a tree ensemble written by Sluice's trainer to be explained; got ${got}; train it with \`sluice train\` or leave out explain`,
      { fields: { model: name }, ...(cause === undefined ? {} : { cause }) },
    );
  };
  let file: OnnxModelFile;
  try {
    file = decodeOnnxModel(bytes);
  } catch (thrown) {
    return refuse(`bytes that are no ONNX file (${messageOf(thrown)})`, thrown);
  }
  const nodes = file.graph?.node ?? [];
  const [node] = nodes;
  if (node === undefined || nodes.length !== 1 || node.opType !== 'TreeEnsembleClassifier') {
    return refuse(`a graph of ${nodes.map(({ opType }) => opType).join(', ') || 'nothing'}`);
  }
  const featureNames = file.metadataProps.find(({ key }) => key === featureNamesKey)?.value;
  if (featureNames === undefined) return refuse(`no ${featureNamesKey} in its metadata`);
  const attributes = new AttributeLists(node);
  const modes = attributes.strings('nodes_modes');
  const unknownMode = modes.find((mode) => mode !== 'LEAF' && mode !== 'BRANCH_LEQ');
  if (unknownMode !== undefined) return refuse(`nodes of mode ${unknownMode}`);
  const covers = attributes.floats('nodes_hitrates');
  if (covers.length !== modes.length) return refuse('no node covers (nodes_hitrates)');
  return collect(attributes, modes, covers, JSON.parse(featureNames) as string[]);
}

function collect(
  attributes: AttributeLists,
  modes: readonly string[],
  covers: readonly number[],
  featureNames: readonly string[],
): TreeEnsemble {
  const trees = attributes.ints('nodes_treeids');
  const trueIds = attributes.ints('nodes_truenodeids');
  const falseIds = attributes.ints('nodes_falsenodeids');
  const features = attributes.ints('nodes_featureids');
  const thresholds = attributes.floats('nodes_values');
  const missing = attributes.ints('nodes_missing_value_tracks_true');
  const leafWeights = attributes.floats('class_weights');
  const collected = new TreeNodes();
  let start = 0;
  let leaf = 0;
  modes.forEach((mode, at) => {
    if (at === 0 || trees[at] !== trees[at - 1]) {
      start = at;
      collected.beginTree();
    }
    const node = collected.addLeaf(covers[at] ?? 0);
    if (mode === 'LEAF') {
      collected.setLeafValue(node, leafWeights[leaf++] ?? 0);
      return;
    }
    const split = {
      feature: features[at] ?? 0,
      threshold: thresholds[at] ?? 0,
      missing: missing[at] === 1 ? ('left' as const) : ('right' as const),
    };
    collected.setSplit(node, split, start + (trueIds[at] ?? 0), start + (falseIds[at] ?? 0));
  });
  return collected.view(featureNames, attributes.floats('base_values')[0] ?? 0);
}

/** A node's attributes by name; one that is absent is an empty list. */
class AttributeLists {
  readonly #node: OnnxNode;

  constructor(node: OnnxNode) {
    this.#node = node;
  }

  ints(name: string): readonly number[] {
    return this.#node.attribute.find((attribute) => attribute.name === name)?.ints ?? [];
  }

  floats(name: string): readonly number[] {
    return this.#node.attribute.find((attribute) => attribute.name === name)?.floats ?? [];
  }

  strings(name: string): readonly string[] {
    const bytes = this.#node.attribute.find((attribute) => attribute.name === name)?.strings ?? [];
    return bytes.map((part) => new TextDecoder().decode(part));
  }
}
