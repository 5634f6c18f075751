/*
 * Freezing of values that were handed out or taken in, so that a change which would never be
 * stored throws at once. Used where checks are on; never needed for durability.
 */
import { types } from 'node:util';

/**
 * Freezes plain objects, arrays and errors, and what they, maps and sets hold, at any depth.
 *
 * Contents of a `Map`, `Set`, `Date` or of bytes cannot be frozen by the language, and instances
 * of other classes may rely on changing themselves: these stay as they are.
 */
export function deepFreeze<T>(value: T): T {
  const seen = new Set<object>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const item = open.pop();
    if (typeof item !== 'object' || item === null || seen.has(item)) continue;
    seen.add(item);
    if (types.isMap(item)) for (const [key, entry] of item) open.push(key, entry);
    else if (types.isSet(item)) open.push(...item);
    else if (isOpen(item)) {
      Object.freeze(item);
      for (const name of Object.getOwnPropertyNames(item)) {
        open.push(Object.getOwnPropertyDescriptor(item, name)?.value);
      }
    }
  }
  return value;
}

function isOpen(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    prototype === Object.prototype ||
    prototype === null ||
    Array.isArray(value) ||
    types.isNativeError(value)
  );
}
