/** Where the model registry is. */
export interface ModelsOption {
  readonly models: string;
}

/** The option `--models`, the same for every command that has it. */
export const modelsDirectory: [flags: string, description: string, defaultValue: string] = [
  '--models <directory>',
  "the model registry's directory",
  process.env['SLUICE_MODELS'] ?? 'models',
];
