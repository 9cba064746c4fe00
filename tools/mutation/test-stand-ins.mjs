/** Hooks for Node's module loader: what stands in for some modules where our own code, tests and tested, imports them. */
const standIns = new Map([
  ['vitest', new URL('collected-tests.mjs', import.meta.url).href],
  ['fast-check', new URL('few-runs.mjs', import.meta.url).href],
  ['node:assert', new URL('quick-assert.mjs', import.meta.url).href],
]);

/** The number of the loading that a module belongs to: `?loading=3` in its address, which makes Node load it anew. */
const loadingOf = (url) => /[?&]loading=(\d+)/.exec(url ?? '')?.[1];

export async function resolve(specifier, context, next) {
  const loading = loadingOf(context.parentURL);
  const url = loading === undefined ? undefined : standIns.get(specifier);
  if (url !== undefined) return { url, shortCircuit: true };
  const resolved = await next(specifier, context);
  const isOurs = resolved.url.startsWith('file:') && !resolved.url.includes('/node_modules/');
  if (loading === undefined || !isOurs || loadingOf(resolved.url) !== undefined) return resolved;
  return { ...resolved, url: `${resolved.url}${resolved.url.includes('?') ? '&' : '?'}loading=${loading}` };
}
