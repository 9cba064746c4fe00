import { leafFeature, treeCountOf, type TreeEnsemble } from '../ensemble/tree-ensemble.ts';
import {
  attributeType,
  elementType,
  encodeOnnxModel,
  type OnnxAttribute,
  type OnnxValueInfo,
} from './onnx-messages.ts';

/** Name of the one input: float32 [rows, features], in the order of `feature_names` in the file's metadata. */
const inputName = 'features';

/** Name of the output with the probabilities: float32 [rows, 2], the positive class second. */
const probabilitiesName = 'probabilities';

/** Name of the output with the more likely class: int64 [rows]. Decisions do not use it: the threshold is the manifest's. */
const labelName = 'label';

/** Key in the file's metadata under which the feature names stand, as a JSON list. */
export const featureNamesKey = 'feature_names';

/** Newest operator sets and file format that all ONNX Runtimes since 1.14 read. */
const machineLearningOpset = 3;
const standardOpset = 17;
const irVersion = 8;

/**
 * Writes an ensemble as an ONNX file with a single `TreeEnsembleClassifier` (ai.onnx.ml, operator set 3). A NaN goes where
 * `nodes_missing_value_tracks_true` sends it, as in training. Node covers are kept in `nodes_hitrates`, which runtimes ignore and
 * the explainer needs.
 *
 * Nothing but the ensemble goes into the bytes, no clock and no machine: the same training gives the same digest anywhere.
 */
export function writeTreeEnsemble(ensemble: TreeEnsemble): Uint8Array {
  const featureCount = ensemble.featureNames.length;
  return encodeOnnxModel({
    irVersion,
    producerName: 'sluice',
    graph: {
      name: 'tree_ensemble',
      node: [
        {
          input: [inputName],
          output: [labelName, probabilitiesName],
          name: 'trees',
          opType: 'TreeEnsembleClassifier',
          domain: 'ai.onnx.ml',
          attribute: attributesOf(ensemble),
        },
      ],
      input: [tensor(inputName, elementType.float32, featureCount)],
      output: [tensor(labelName, elementType.int64), tensor(probabilitiesName, elementType.float32, 2)],
    },
    opsetImport: [
      { domain: '', version: standardOpset },
      { domain: 'ai.onnx.ml', version: machineLearningOpset },
    ],
    metadataProps: [{ key: featureNamesKey, value: JSON.stringify(ensemble.featureNames) }],
  });
}

function tensor(name: string, elemType: number, width?: number): OnnxValueInfo {
  const rows = { dimParam: 'rows' };
  const dim = width === undefined ? [rows] : [rows, { dimValue: width }];
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

/**
 * Attributes in alphabetical order, as the operator's specification lists them.
 *
 * All leaves vote for class number 0: with weights for one class only and two class labels, runtimes take the sum for the second label's
 * log-odds whatever the number is, but ONNX Runtime adds the one base value only under number 0.
 */
function attributesOf(ensemble: TreeEnsemble): OnnxAttribute[] {
  const nodes = Array.from(ensemble.feature, (_, node) => node);
  const { treeOf, idOf } = numbering(ensemble);
  const isLeaf = (node: number): boolean => ensemble.feature[node] === leafFeature;
  const leaves = nodes.filter(isLeaf);
  const at = (array: ArrayLike<number>) => (node: number) => array[node] as number;
  const childId = (children: Uint32Array) => (node: number) => (isLeaf(node) ? 0 : at(idOf)(at(children)(node)));
  return [
    floats('base_values', [ensemble.baseScore]),
    ints(
      'class_ids',
      leaves.map(() => 0),
    ),
    ints('class_nodeids', leaves.map(at(idOf))),
    ints('class_treeids', leaves.map(at(treeOf))),
    floats('class_weights', leaves.map(at(ensemble.leafValue))),
    ints('classlabels_int64s', [0, 1]),
    ints('nodes_falsenodeids', nodes.map(childId(ensemble.right))),
    ints(
      'nodes_featureids',
      nodes.map((node) => Math.max(0, at(ensemble.feature)(node))),
    ),
    floats('nodes_hitrates', nodes.map(at(ensemble.cover))),
    ints('nodes_missing_value_tracks_true', nodes.map(at(ensemble.missingGoesLeft))),
    strings(
      'nodes_modes',
      nodes.map((node) => (isLeaf(node) ? 'LEAF' : 'BRANCH_LEQ')),
    ),
    ints('nodes_nodeids', nodes.map(at(idOf))),
    ints('nodes_treeids', nodes.map(at(treeOf))),
    ints('nodes_truenodeids', nodes.map(childId(ensemble.left))),
    floats('nodes_values', nodes.map(at(ensemble.threshold))),
    { name: 'post_transform', type: attributeType.string, s: utf8('LOGISTIC') },
  ];
}

/** ONNX numbers nodes from zero within their tree. */
function numbering(ensemble: TreeEnsemble): { treeOf: Uint32Array; idOf: Uint32Array } {
  const treeOf = new Uint32Array(ensemble.feature.length);
  const idOf = new Uint32Array(ensemble.feature.length);
  for (let tree = 0; tree < treeCountOf(ensemble); tree++) {
    const start = ensemble.treeStarts[tree] as number;
    const end = ensemble.treeStarts[tree + 1] as number;
    for (let node = start; node < end; node++) {
      treeOf[node] = tree;
      idOf[node] = node - start;
    }
  }
  return { treeOf, idOf };
}

function ints(name: string, values: readonly number[]): OnnxAttribute {
  return { name, type: attributeType.ints, ints: values };
}

function floats(name: string, values: readonly number[]): OnnxAttribute {
  return { name, type: attributeType.floats, floats: values };
}

function strings(name: string, values: readonly string[]): OnnxAttribute {
  return { name, type: attributeType.strings, strings: values.map(utf8) };
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
