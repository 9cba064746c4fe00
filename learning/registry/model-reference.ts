import { SluiceError } from '../../engine/error.ts';
import { modelNamePattern } from './model-manifest.ts';

/** The movable names of versions: the model that decides, the one that is tried beside it, and the one to go back to. */
export const modelAliases = ['champion', 'challenger', 'previous'] as const;

/** One of {@link modelAliases}. */
export type ModelAlias = (typeof modelAliases)[number];

/** Which version of which model: what `fraud@champion` and `fraud@3` say. */
export interface ModelReference {
  readonly name: string;
  readonly version: number | ModelAlias;
}

/**
 * Reads a reference as job files and commands write it. A name alone means its champion.
 *
 * @throws {SluiceError} `MODEL_REFERENCE_INVALID`.
 */
export function parseModelReference(text: string): ModelReference {
  const [name = '', version = 'champion', ...rest] = text.split('@');
  const alias = modelAliases.find((known) => known === version);
  if (rest.length === 0 && modelNamePattern.test(name)) {
    if (alias !== undefined) return { name, version: alias };
    if (/^[1-9]\d{0,8}$/.test(version)) return { name, version: Number(version) };
  }
  throw new SluiceError(
    'MODEL_REFERENCE_INVALID',
    `a model must be named like fraud@champion or fraud@3 (aliases: ${modelAliases.join(', ')}); got "${text}"`,
  );
}
