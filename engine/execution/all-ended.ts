/**
 * Waits until every one of these has ended, well or not, and then gives their results, or the first error: in time, which makes it the cause of the others. For
 * parts that run side by side and must not be cut off by one another's end. None of their errors counts as unhandled meanwhile.
 */
export async function allEnded<T extends readonly Promise<unknown>[]>(
  runs: readonly [...T],
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  const first = Promise.all(runs);
  await Promise.allSettled([first, ...runs]);
  return first;
}
