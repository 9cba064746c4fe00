import type { ModelBinding } from './check-signature.ts';
import type { ModelTrees } from './model-trees.ts';
import type { ModelSignature } from './scorer.ts';

/** What the main thread asks of the scoring thread; `id` comes back with the answer. Buffers are transferred, never copied. */
export type OnnxRequest =
  | { readonly kind: 'open'; readonly id: number; readonly model: Uint8Array }
  | {
      readonly kind: 'bind';
      readonly id: number;
      readonly binding: ModelBinding;
      readonly featureCount: number;
      readonly trees: ModelTrees | null;
    }
  | { readonly kind: 'score'; readonly id: number; readonly matrix: Float32Array; readonly rowCount: number };

/** What the scoring thread answers. */
export type OnnxReply =
  | { readonly kind: 'opened'; readonly id: number; readonly signature: ModelSignature }
  | { readonly kind: 'bound'; readonly id: number; readonly scoredBy: 'onnxruntime' | 'quick-scorer' }
  | { readonly kind: 'scored'; readonly id: number; readonly probabilities: Float32Array }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };
