/**
 * A controller that Ctrl-C (SIGINT) or SIGTERM aborts, so that a command ends what it has begun: commits the batches in flight, closes its files. A second
 * Ctrl-C ends the process at once; what was committed stays, as after any crash.
 *
 * @param again what a second signal does.
 */
export function stopSignal(again: () => void = () => process.exit(130)): AbortController {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) again();
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return controller;
}
