/**
 * Makes a call after `durationMs` if the process is still there then; waiting for it does not keep the process alive. For the commands' last resort against
 * whatever keeps a process from ending.
 */
export function ifStillThere(durationMs: number, call: () => void): void {
  setTimeout(call, durationMs).unref();
}
