/*
 * Exact comparison of two values for the tests of the value codec: prototypes, the order and flags
 * of own properties, the order of maps and sets, and the bytes of views. Returns the path of the
 * first difference, or undefined.
 */
import { types } from 'node:util';

export function difference(a: unknown, b: unknown, path = 'value'): string | undefined {
  if (Object.is(a, b)) return undefined;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return path;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path} (prototype)`;
  return internals(a, b, path) ?? properties(a, b, path);
}

function internals(a: object, b: object, path: string): string | undefined {
  if (types.isMap(a)) {
    if (!types.isMap(b)) return path;
    return difference([...a].flat(), [...b].flat(), `${path} (entries)`);
  }
  if (types.isSet(a)) {
    return types.isSet(b) ? difference([...a], [...b], `${path} (items)`) : path;
  }
  if (types.isDate(a)) return types.isDate(b) ? difference(a.getTime(), b.getTime(), path) : path;
  if (types.isRegExp(a)) return types.isRegExp(b) && String(a) === String(b) ? undefined : path;
  if (types.isNativeError(a)) return types.isNativeError(b) ? undefined : path;
  if (ArrayBuffer.isView(a) || types.isArrayBuffer(a)) {
    return Buffer.compare(bytesOf(a), bytesOf(b)) === 0 ? undefined : path;
  }
  return Array.isArray(a) === Array.isArray(b) ? undefined : path;
}

function properties(a: object, b: object, path: string): string | undefined {
  if (ArrayBuffer.isView(a)) return undefined;
  const names = Object.getOwnPropertyNames(a);
  if (names.join('\0') !== Object.getOwnPropertyNames(b).join('\0')) return `${path} (names)`;
  for (const name of names) {
    if (name === 'length' && Array.isArray(a)) continue;
    const [x, y] = [a, b].map((object) => Object.getOwnPropertyDescriptor(object, name));
    // An error's own stack is an accessor in some runtimes and data in others.
    const isStack = name === 'stack' && types.isNativeError(a);
    if (x?.enumerable !== y?.enumerable) return `${path}.${name} (enumerable)`;
    const left: unknown = isStack ? a.stack : x?.value;
    const right: unknown = isStack ? (b as Error).stack : y?.value;
    const found = difference(left, right, `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function bytesOf(value: object): Buffer {
  if (ArrayBuffer.isView(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return Buffer.from(value as ArrayBuffer);
}
