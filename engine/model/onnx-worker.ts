import { strict as assert } from 'node:assert';
import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf } from '../error.ts';
import type { ModelBinding } from './check-signature.ts';
import type { ModelTrees } from './model-trees.ts';
import type { OnnxReply, OnnxRequest } from './onnx-protocol.ts';
import { parityRows } from './parity-rows.ts';
import { QuickScorer } from './quick-scorer.ts';
import type { ModelSignature, ModelTensor } from './scorer.ts';

/**
 * The scoring thread: ONNX Runtime computes on the thread that calls it, so it gets one of its own, and the event loop goes on
 * reading and committing while it works. Requests are answered one at a time, in order.
 */
let session: InferenceSession | null = null;
let bound: { readonly binding: ModelBinding; readonly featureCount: number } | null = null;
/** In the place of the session, once they were seen to agree. */
let quick: QuickScorer | null = null;

/** How far two scores of the same row may be apart: more than rounding explains is another model. */
const maxParityDifference = 1e-6;

function tensorOf(value: InferenceSession.ValueMetadata): ModelTensor {
  if (!value.isTensor) return { name: value.name, type: null, shape: [] };
  return {
    name: value.name,
    type: value.type,
    shape: value.shape.map((size) => (typeof size === 'number' && size > 0 ? size : null)),
  };
}

async function open(model: Uint8Array): Promise<ModelSignature> {
  // One intra-op thread: a second one spins, and costs three times the CPU on small batches.
  session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
  });
  return { inputs: session.inputMetadata.map(tensorOf), outputs: session.outputMetadata.map(tensorOf) };
}

function feedsOf(
  binding: ModelBinding,
  featureCount: number,
  matrix: Float32Array,
  rowCount: number,
): Record<string, Tensor> {
  if (binding.form === 'matrix') {
    return {
      [binding.inputs[0] ?? '']: new Tensor('float32', matrix.subarray(0, rowCount * featureCount), [
        rowCount,
        featureCount,
      ]),
    };
  }
  return Object.fromEntries(
    binding.inputs.map((name, feature) => {
      const column = Float32Array.from({ length: rowCount }, (_, row) => matrix[row * featureCount + feature] ?? NaN);
      return [name, new Tensor('float32', column, [rowCount, 1])];
    }),
  );
}

/** Takes the quick scorer where it gives what the session gives, over values about every threshold and missing ones. */
async function bind(trees: ModelTrees | null, featureCount: number): Promise<'onnxruntime' | 'quick-scorer'> {
  const candidate = trees === null ? null : QuickScorer.of(trees, featureCount);
  if (trees === null || candidate === null) return 'onnxruntime';
  const { matrix, rowCount } = parityRows(trees, featureCount);
  const expected = await score(matrix, rowCount);
  const agrees = candidate
    .score(matrix, rowCount)
    .every((probability, row) => Math.abs(probability - (expected[row] ?? NaN)) <= maxParityDifference);
  if (!agrees) return 'onnxruntime';
  quick = candidate;
  await session?.release();
  session = null;
  return 'quick-scorer';
}

async function score(matrix: Float32Array, rowCount: number): Promise<Float32Array> {
  assert(session !== null && bound !== null, 'a model must be opened and bound before it scores');
  const { binding, featureCount } = bound;
  const outputs = await session.run(feedsOf(binding, featureCount, matrix, rowCount), [binding.output]);
  const values = outputs[binding.output]?.data;
  assert(values instanceof Float32Array, 'the bound output is float32');
  const width = values.length / Math.max(1, rowCount);
  const probabilities = new Float32Array(rowCount);
  for (let row = 0; row < rowCount; row++) probabilities[row] = values[row * width + width - 1] ?? NaN;
  return probabilities;
}

async function answer(request: OnnxRequest): Promise<OnnxReply> {
  const { id } = request;
  switch (request.kind) {
    case 'open':
      return { kind: 'opened', id, signature: await open(request.model) };
    case 'bind':
      bound = request;
      return { kind: 'bound', id, scoredBy: await bind(request.trees, request.featureCount) };
    case 'score': {
      const { matrix, rowCount } = request;
      return { kind: 'scored', id, probabilities: quick?.score(matrix, rowCount) ?? (await score(matrix, rowCount)) };
    }
  }
}

let last: Promise<void> = Promise.resolve();

parentPort?.on('message', (request: OnnxRequest) => {
  last = last.then(async () => {
    const reply = await answer(request).catch((error: unknown): OnnxReply => {
      return { kind: 'failed', id: request.id, message: messageOf(error) };
    });
    parentPort?.postMessage(reply, reply.kind === 'scored' ? [reply.probabilities.buffer as ArrayBuffer] : []);
  });
});
