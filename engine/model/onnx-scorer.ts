import { strict as assert } from 'node:assert';
import type { Worker } from 'node:worker_threads';
import { SluiceError } from '../error.ts';
import { startWorkerThread } from '../worker-thread.ts';
import { bindModel } from './check-signature.ts';
import type { ModelTrees } from './model-trees.ts';
import type { OnnxReply, OnnxRequest } from './onnx-protocol.ts';
import type { Scorer } from './scorer.ts';

/** A model as the registry hands it out: its bytes, and the features that it was trained on, in order. */
export interface OnnxModel {
  /** `name@version`, for errors. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly features: readonly string[];
  /** Its trees, where it is nothing but one ensemble of them: they are then scored without ONNX Runtime, in half the time. */
  readonly trees?: ModelTrees | null;
}

interface Pending {
  readonly resolve: (reply: OnnxReply) => void;
  readonly reject: (error: SluiceError) => void;
}

/**
 * Scores in a thread of its own, with ONNX Runtime, or, for trees, with what was seen to agree with it. Made at plan time with {@link OnnxScorer.open}, which refuses a model whose inputs are not the
 * features that it is given; disposed of with the query.
 */
export class OnnxScorer implements Scorer {
  readonly #model: string;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #scoredBy: 'onnxruntime' | 'quick-scorer' = 'onnxruntime';
  #dead: SluiceError | null = null;

  private constructor(model: string) {
    this.#model = model;
    this.#worker = startWorkerThread('./onnx-worker', import.meta.url);
    this.#worker.on('message', (reply: OnnxReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#fail(error.message));
    this.#worker.on('exit', (code) => this.#fail(`the scoring thread ended with code ${code}`));
  }

  /**
   * Loads a model and checks it against its features.
   *
   * @throws {SluiceError} `MODEL_FAILED` (not an ONNX file, or one that this runtime cannot run), `MODEL_INPUT_MISMATCH`, `MODEL_OUTPUT_UNSUPPORTED`.
   */
  static async open(model: OnnxModel): Promise<OnnxScorer> {
    const scorer = new OnnxScorer(model.name);
    try {
      const opened = await scorer.#ask((id) => ({ kind: 'open', id, model: model.bytes }), []);
      assert(opened.kind === 'opened');
      const binding = bindModel(model.name, opened.signature, model.features);
      const { features, trees = null } = model;
      const bound = await scorer.#ask(
        (id) => ({ kind: 'bind', id, binding, featureCount: features.length, trees }),
        [],
      );
      assert(bound.kind === 'bound');
      scorer.#scoredBy = bound.scoredBy;
      return scorer;
    } catch (error) {
      await scorer[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Who computes: ONNX Runtime, or, for trees that it was seen to agree with it on, `QuickScorer`. */
  get scoredBy(): 'onnxruntime' | 'quick-scorer' {
    return this.#scoredBy;
  }

  async score(matrix: Float32Array, rowCount: number): Promise<Float32Array> {
    if (rowCount === 0) return new Float32Array(0);
    const reply = await this.#ask((id) => ({ kind: 'score', id, matrix, rowCount }), [matrix.buffer as ArrayBuffer]);
    assert(reply.kind === 'scored');
    return reply.probabilities;
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#dead ??= this.#error('it was closed');
    await this.#worker.terminate();
  }

  #ask(makeRequest: (id: number) => OnnxRequest, transfer: ArrayBuffer[]): Promise<OnnxReply> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage(makeRequest(id), transfer);
    });
  }

  #settle(reply: OnnxReply): void {
    const pending = this.#pending.get(reply.id);
    assert(pending !== undefined, 'every reply answers a request');
    this.#pending.delete(reply.id);
    if (reply.kind === 'failed') pending.reject(this.#error(reply.message));
    else pending.resolve(reply);
  }

  #fail(cause: string): void {
    this.#dead ??= this.#error(cause);
    for (const { reject } of this.#pending.values()) reject(this.#dead);
    this.#pending.clear();
  }

  #error(cause: string): SluiceError {
    return new SluiceError(
      'MODEL_FAILED',
      `could not run model ${this.#model}: ${cause}; check the file, or go back to an earlier version`,
      {
        fields: { model: this.#model },
      },
    );
  }
}
