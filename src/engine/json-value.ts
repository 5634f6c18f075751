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
  if (Array.isArray(value)) {
    return firstFault(value.map((item: unknown, i) => jsonFault(item, `${path}[${i}]`, depth + 1)));
  }
  if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return path;
  const faults = Object.entries(value).map(([name, item]: [string, unknown]) =>
    name === '__proto__' ? `${path}.__proto__` : jsonFault(item, `${path}.${name}`, depth + 1),
  );
  return firstFault(faults);
}

function firstFault(faults: readonly (string | undefined)[]): string | undefined {
  return faults.find((fault) => fault !== undefined);
}
