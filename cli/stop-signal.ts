/**
 * A controller that Ctrl-C (SIGINT) or SIGTERM aborts, so that a command ends what it has begun: commits the batches in flight, closes its files. A second
 * Ctrl-C ends the process at once; what was committed stays, as after any crash.
 */
export function stopSignal(): AbortController {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return controller;
}
