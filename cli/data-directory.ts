/** Where the embedded profile keeps everything. */
export interface DirectoryOption {
  readonly dir: string;
}

/** The option `--dir`, the same for every command that has it: flags, description, default. */
export const dataDirectory: [flags: string, description: string, defaultValue: string] = [
  '--dir <directory>',
  'the data directory of the embedded profile',
  process.env['SLUICE_DIR'] ?? '.sluice/data',
];
