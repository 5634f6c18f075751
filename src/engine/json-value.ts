/*
 * Metadata of checkpoints is JSON: what would not come back from it is refused, not changed.
 */

const depthMax = 100;

/** Path of the first thing in a value that JSON does not keep, or undefined when it keeps all. */
export function jsonFault(value: unknown, path = 'metadata', depth = 0): string | undefined {
  if (depth > depthMax) return path;
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return undefined;
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0) ? undefined : path;
  }
  if (typeof value !== 'object') return path;
  if (Object.getOwnPropertySymbols(value).length > 0) return path;
  if (Array.isArray(value)) {
    // By index, so that a hole is seen; the first fault ends it, so that a cycle ends too.
    for (let i = 0; i < value.length; i++) {
      const fault = jsonFault(value[i], `${path}[${i}]`, depth + 1);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return path;
  for (const [name, item] of Object.entries(value) as [string, unknown][]) {
    const at = `${path}.${name}`;
    const fault = name === '__proto__' ? at : jsonFault(item, at, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
