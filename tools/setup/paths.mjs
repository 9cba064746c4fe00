import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the checkout, whatever the current directory is. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A path below the top of the checkout. */
export const at = (...parts) => join(root, ...parts);
