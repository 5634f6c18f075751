/*
 * Reads the extension types of the stored form: the built-in classes and the registered types.
 * As strict as the decoder that calls it: what an encoder never writes is corrupt.
 */
import { IncompatibleError } from '../errors.ts';
import {
  ERROR_CLASSES,
  EXT_BIGINT,
  EXT_DATE,
  EXT_ERROR,
  EXT_MAP,
  EXT_NULL_OBJECT,
  EXT_REGEXP,
  EXT_SET,
  EXT_TYPE,
  EXT_VIEW,
  swapForHost,
  VIEW_KINDS,
} from './value-format.ts';
import type { TypeDefinition } from './value-type.ts';

/** What the readers of extensions need of the decoder. */
export interface ReadContext {
  readonly types: ReadonlyMap<string, TypeDefinition>;
  read(depth: number): unknown;
  byte(): number;
  key(): string;
  string(): string;
  /** A value that is no container. */
  scalar(): unknown;
  /** In a buffer of its own, from its start. */
  copy(length: number): Uint8Array;
  float64(): number;
  more(): boolean;
  within<T>(length: number, reader: () => T): T;
  property(object: Record<string, unknown>, key: string, depth: number): void;
  checkDepth(depth: number): void;
  fail(reason: string, cause?: unknown): never;
}

/** Bytes of the greatest bigint that a runtime makes. */
const BIGINT_BYTES_MAX = 2 ** 27;
const FIXED = 0;
const LONG_HEAD = 4;

type Read = (context: ReadContext, depth: number) => unknown;

const containers: readonly (Read | undefined)[] = readersOf([
  [EXT_MAP, readMap],
  [EXT_SET, readSet],
  [EXT_REGEXP, readRegExp],
  [EXT_ERROR, readError],
  [EXT_NULL_OBJECT, readNullObject],
  [EXT_TYPE, readType],
]);

/** Reads the body of an ext; `width` is that of its length field, 0 for a fixext. */
export function readExt(
  context: ReadContext,
  type: number,
  length: number,
  width: number,
  depth: number,
): unknown {
  if (type === EXT_DATE && width === FIXED) return readDate(context);
  const container = containers[type];
  if (container !== undefined && width === LONG_HEAD) {
    context.checkDepth(depth);
    return context.within(length, () => container(context, depth));
  }
  const isShortest = width === (length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 4);
  if (isShortest && length > 0) {
    if (type === EXT_VIEW) return readView(context, length - 1);
    if (type === EXT_BIGINT) return readBigint(context, length - 1);
  }
  return context.fail(`has the unknown extension type ${type}`);
}

function readersOf(pairs: readonly (readonly [number, Read])[]): (Read | undefined)[] {
  const readers: (Read | undefined)[] = Array.from({ length: 0x100 });
  for (const [type, read] of pairs) readers[type] = read;
  return readers;
}

function readDate(context: ReadContext): Date {
  const time = context.float64();
  const date = new Date(time);
  if (!Object.is(date.getTime(), time)) context.fail('has a date out of range');
  return date;
}

function readBigint(context: ReadContext, length: number): bigint {
  if (length > BIGINT_BYTES_MAX) context.fail('has a bigint that no runtime makes');
  const sign = context.byte();
  const magnitude = context.copy(length);
  if (sign > 1 || length < 8 || magnitude[0] === 0) context.fail('has an ill-formed bigint');
  const value = BigInt(`0x${Buffer.from(magnitude.buffer).toString('hex')}`);
  const signed = sign === 1 ? -value : value;
  if (BigInt.asIntN(64, signed) === signed || BigInt.asUintN(64, signed) === signed) {
    context.fail('has a bigint in a longer form than it needs');
  }
  return signed;
}

function readView(context: ReadContext, length: number): unknown {
  const kind = VIEW_KINDS[context.byte()];
  if (kind === undefined || length % kind.width !== 0) context.fail('has an ill-formed view');
  const bytes = context.copy(length);
  swapForHost(bytes, kind.width);
  // `copy` never makes shared memory; its type stays plain for compilers before 5.7.
  return kind.make(bytes.buffer as ArrayBuffer);
}

function readMap(context: ReadContext, depth: number): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  let count = 0;
  for (; context.more(); count++) {
    const key = context.read(depth + 1);
    if (Object.is(key, -0)) context.fail('has a negative zero as a key');
    map.set(key, context.read(depth + 1));
  }
  if (map.size !== count) context.fail('has a map with a repeated key');
  return map;
}

function readSet(context: ReadContext, depth: number): Set<unknown> {
  const set = new Set<unknown>();
  let count = 0;
  for (; context.more(); count++) {
    const item = context.read(depth + 1);
    if (Object.is(item, -0)) context.fail('has a negative zero as an item');
    set.add(item);
  }
  if (set.size !== count) context.fail('has a set with a repeated item');
  return set;
}

function readRegExp(context: ReadContext): RegExp {
  const source = context.string();
  const flags = context.string();
  const lastIndex = context.scalar();
  if (!Number.isSafeInteger(lastIndex) || (lastIndex as number) < 0 || Object.is(lastIndex, -0)) {
    context.fail('has a regular expression with an ill-formed lastIndex');
  }
  let pattern: RegExp;
  try {
    pattern = new RegExp(source, flags);
  } catch (error) {
    throw new IncompatibleError(
      'CODEC_UNAVAILABLE',
      'a stored regular expression needs a newer runtime',
      { type: 'RegExp', source, flags },
      error,
    );
  }
  pattern.lastIndex = lastIndex as number;
  return pattern;
}

function readNullObject(context: ReadContext, depth: number): object {
  const object = Object.create(null) as Record<string, unknown>;
  let count = 0;
  for (; context.more(); count++) context.property(object, context.key(), depth);
  if (Object.keys(object).length !== count) context.fail('has an object with a repeated key');
  return object;
}

function readError(context: ReadContext, depth: number): Error {
  const type = ERROR_CLASSES.get(context.string());
  if (type === undefined) context.fail('has an error of an unknown class');
  const error = new type();
  // What the constructor sets (a stack of this place, no message) is not the stored error's.
  for (const name of Object.getOwnPropertyNames(error)) Reflect.deleteProperty(error, name);
  let count = 0;
  for (; context.more(); count++) {
    const name = context.key();
    const flag = context.scalar();
    if (typeof flag !== 'boolean') context.fail('has an error with an ill-formed property');
    const value = context.read(depth + 1);
    Object.defineProperty(error, name, {
      value,
      enumerable: flag,
      writable: true,
      configurable: true,
    });
  }
  if (Object.getOwnPropertyNames(error).length !== count) {
    context.fail('has an error with a repeated property');
  }
  return error;
}

function readType(context: ReadContext, depth: number): unknown {
  const name = context.string();
  const version = context.scalar();
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    context.fail('has a registered type with an ill-formed version');
  }
  const data = context.read(depth + 1);
  if (context.more()) context.fail('has a registered type with bytes left over');
  const type = context.types.get(name);
  if (type === undefined) {
    throw new IncompatibleError(
      'CODEC_UNAVAILABLE',
      `a stored value is of a type that is not registered: ${name}`,
      { type: name, version },
    );
  }
  return revive(type, data, version as number);
}

function revive(type: TypeDefinition, data: unknown, version: number): unknown {
  const known = type.version ?? 1;
  const details = { type: type.name, stored: version, asked: known };
  if (version > known) {
    const message = `a stored ${type.name} has version ${version}, known up to ${known}`;
    throw new IncompatibleError('SCHEMA_CHANGED', message, details);
  }
  const isOld = version < known && type.upgrade !== undefined;
  const current = isOld ? running(() => type.upgrade!(data, version), 'upgrade', details) : data;
  return running(() => type.decode(current, isOld ? known : version), 'decode', details);
}

function running(
  call: () => unknown,
  name: string,
  details: { readonly type: string; readonly stored: number; readonly asked: number },
): unknown {
  const { type, stored } = details;
  const fail = (did: string, cause?: unknown): IncompatibleError => {
    const message = `${name} of the registered type ${type} ${did} at version ${stored}`;
    return new IncompatibleError('SCHEMA_CHANGED', message, details, cause);
  };
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    throw fail('threw', error);
  }
  if (!(result instanceof Promise)) return result;
  // What becomes of it is not ours; it is refused whole.
  void result.catch(() => {});
  throw fail('returned a promise');
}
