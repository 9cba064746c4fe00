/**
 * Gives each record a probability. Who decides what to do with it (a threshold, a dead letter for one that is not a number) is the caller.
 *
 * The batch loop calls `score` once for each batch and may call it again before the first has resolved; results come in the order of the calls.
 */
export interface Scorer extends AsyncDisposable {
  /**
   * @param matrix `rowCount × features` in row-major order, features in the model's order, NaN for missing. It is handed over: the caller must not
   *   touch it again.
   * @returns the probability of the positive class for each row; NaN or infinite where the model gave that.
   * @throws {SluiceError} `MODEL_FAILED` when the runtime refuses the batch.
   */
  score(matrix: Float32Array, rowCount: number): Promise<Float32Array>;
}

/** One input or output of a model, as its file declares it; `null` stands for a dimension that the caller chooses. */
export interface ModelTensor {
  readonly name: string;
  /** ONNX's name for the element type (`float32`, `int64` …); `null` for what is not a tensor. */
  readonly type: string | null;
  readonly shape: readonly (number | null)[];
}

/** What a model's file says of itself. */
export interface ModelSignature {
  readonly inputs: readonly ModelTensor[];
  readonly outputs: readonly ModelTensor[];
}
