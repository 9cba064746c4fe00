import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts a worker thread from a module beside the caller's, whether Sluice runs compiled (`.js`) or from source (`.ts`, under tests).
 *
 * @param name the module's file name without extension, such as `./onnx-worker`.
 * @param importerUrl the caller's `import.meta.url`.
 */
export function startWorkerThread(name: string, importerUrl: string, workerData: unknown = null): Worker {
  if (!importerUrl.endsWith('.ts'))
    return new Worker(fileURLToPath(new URL(`${name}.js`, importerUrl)), { workerData });
  // A thread does not inherit its parent's loader for TypeScript, so it registers one before it imports the module.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const entry = JSON.stringify(new URL(`${name}.ts`, importerUrl).href);
  const bootstrap = `import(${loader}).then(({ register }) => (register(), import(${entry})));`;
  return new Worker(bootstrap, { eval: true, workerData, execArgv: [] });
}
