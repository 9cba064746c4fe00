import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts a worker thread from a module beside the caller's, whether Sluice runs compiled (`.js`) or from source (`.ts`, under tests).
 *
 * @param name the module's file name without extension, such as `./onnx-worker`.
 * @param importerUrl the caller's `import.meta.url`.
 */
export function startWorkerThread(name: string, importerUrl: string, workerData: unknown = null): Worker {
  const fromSource = importerUrl.endsWith('.ts');
  const url = new URL(`${name}${fromSource ? '.ts' : '.js'}`, importerUrl);
  return new Worker(fileURLToPath(url), { workerData, execArgv: fromSource ? ['--import', 'tsx'] : [] });
}
