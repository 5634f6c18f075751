/*
 * Writes the built-in classes that are not plain objects and arrays, and refuses every other
 * class. An object counts as an instance by its prototype *and* by its internal slots, so neither
 * a subclass nor an impostor passes. Called by the value encoder.
 */
import { inspect, types } from 'node:util';
import {
  ERROR_CLASSES,
  EXT_ERROR,
  EXT_MAP,
  EXT_REGEXP,
  EXT_SET,
  EXT_VIEW,
  HOST_IS_BIG_ENDIAN,
  swapForHost,
  VIEW_KINDS,
} from './value-format.ts';
import {
  className,
  step,
  STEP_MAP_KEY,
  STEP_MAP_VALUE,
  STEP_SET_ITEM,
  type Step,
} from './value-path.ts';
import { lengthOf, type ValueWriter } from './value-writer.ts';

/** What the writers of built-ins need of the walk. */
export interface WalkContext {
  readonly writer: ValueWriter;
  child(value: unknown, depth: number, step: Step): void;
  text(text: string, owner: unknown, depth: number): void;
  onlyProperties(value: object, names: readonly string[], depth: number): void;
  noSymbols(value: object, depth: number): void;
  refuse(reason: string, value: unknown, depth: number, cause?: unknown): never;
}

type Write = (context: WalkContext, value: object, depth: number) => void;

const SMALL_ARRAY = 64;
/** Every option that shapes the text, because defaults can be changed by the program. */
const INSPECT_OPTIONS = {
  maxArrayLength: 0,
  depth: 0,
  showHidden: false,
  showProxy: false,
  colors: false,
  customInspect: false,
  compact: 3,
  breakLength: Infinity,
  sorted: false,
  getters: false,
  numericSeparator: false,
} as const;

const writers = new Map<object, { is: (value: unknown) => boolean; write: Write }>([
  [Map.prototype, { is: types.isMap, write: writeMap }],
  [Set.prototype, { is: types.isSet, write: writeSet }],
  [Date.prototype, { is: types.isDate, write: writeDate }],
  [RegExp.prototype, { is: types.isRegExp, write: writeRegExp }],
  [Uint8Array.prototype, { is: types.isUint8Array, write: writeBytes }],
]);
for (const [index, kind] of VIEW_KINDS.entries()) {
  const is =
    kind.prototype === ArrayBuffer.prototype ? types.isArrayBuffer : types.isArrayBufferView;
  writers.set(kind.prototype, { is, write: (...args) => writeView(index, ...args) });
}
for (const [name, { prototype }] of ERROR_CLASSES) {
  writers.set(prototype as object, {
    is: types.isNativeError,
    write: (...args) => writeError(name, ...args),
  });
}

/** True when the class has a stored form of its own. */
export function isBuiltIn(prototype: object): boolean {
  return prototype === Object.prototype || prototype === Array.prototype || writers.has(prototype);
}

/** Writes an object whose prototype is neither of a plain object nor of an array. */
export function writeBuiltIn(
  context: WalkContext,
  value: object,
  prototype: object,
  depth: number,
): void {
  const writer = writers.get(prototype);
  if (writer === undefined) {
    const hint = types.isPromise(value) ? ': await it, and store what it gives' : '';
    const what = `is an instance of ${className(value)}, which is not a registered type`;
    context.refuse(`${what}${hint}`, value, depth);
  }
  if (!writer.is(value)) {
    context.refuse(`only has the prototype of ${className(value)}`, value, depth);
  }
  writer.write(context, value, depth);
}

/**
 * True when an array has enumerable own properties beside its items, symbol keys, or a hole.
 * Listing the names of a long array costs as much as encoding it; `inspect` looks at the other
 * names alone, at a constant cost. What is not enumerable is not looked for: no call finds it at
 * a price that every array can pay.
 */
export function isArrayWithExtras(value: readonly unknown[]): boolean {
  const length = value.length;
  if (length > SMALL_ARRAY) {
    const text = inspect(value, INSPECT_OPTIONS);
    if (text === `[ ... ${length} more items ]`) return false;
  }
  return Object.keys(value).length !== length || Object.getOwnPropertySymbols(value).length !== 0;
}

function writeMap(context: WalkContext, value: object, depth: number): void {
  context.onlyProperties(value, [], depth);
  const begin = context.writer.beginExt(EXT_MAP);
  let index = 0;
  for (const [key, item] of value as Map<unknown, unknown>) {
    context.child(key, depth, step(STEP_MAP_KEY, index));
    context.child(item, depth, step(STEP_MAP_VALUE, index));
    index++;
  }
  context.writer.endExt(begin);
}

function writeSet(context: WalkContext, value: object, depth: number): void {
  context.onlyProperties(value, [], depth);
  const begin = context.writer.beginExt(EXT_SET);
  let index = 0;
  for (const item of value as Set<unknown>) {
    context.child(item, depth, step(STEP_SET_ITEM, index));
    index++;
  }
  context.writer.endExt(begin);
}

function writeDate(context: WalkContext, value: object, depth: number): void {
  context.onlyProperties(value, [], depth);
  context.writer.date((value as Date).getTime());
}

function writeRegExp(context: WalkContext, value: object, depth: number): void {
  context.onlyProperties(value, ['lastIndex'], depth);
  const { source, flags, lastIndex } = value as RegExp;
  if (!Number.isSafeInteger(lastIndex) || lastIndex < 0 || Object.is(lastIndex, -0)) {
    context.refuse('has a lastIndex that is not a non-negative integer', value, depth);
  }
  const begin = context.writer.beginExt(EXT_REGEXP);
  context.text(source, value, depth);
  context.text(flags, value, depth);
  context.writer.number(lastIndex);
  context.writer.endExt(begin);
}

function writeBytes(context: WalkContext, value: object, depth: number): void {
  checkBuffer(context, (value as Uint8Array).buffer, value, depth);
  context.writer.bin(value as Uint8Array);
}

function writeView(index: number, context: WalkContext, value: object, depth: number): void {
  const whole = types.isArrayBuffer(value);
  if (whole) context.onlyProperties(value, [], depth);
  checkBuffer(context, whole ? value : (value as ArrayBufferView).buffer, value, depth);
  const view = whole ? new Uint8Array(value) : (value as ArrayBufferView);
  const stored = storedBytes(view, VIEW_KINDS[index]!.width);
  const length = lengthOf(stored);
  context.writer.ext(EXT_VIEW, length + 1);
  context.writer.byte(index);
  context.writer.raw(stored, length);
}

/** The bytes of a view, little-endian. */
function storedBytes(view: ArrayBufferView, width: number): Uint8Array {
  // By its slots: its prototype may be another one.
  const bytes = types.isUint8Array(view)
    ? view
    : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  if (!HOST_IS_BIG_ENDIAN || width === 1) return bytes;
  const swapped = Uint8Array.prototype.slice.call(bytes);
  swapForHost(swapped, width);
  return swapped;
}

/** Refuses bytes that belong to somebody else too, can change their length, or are gone. */
function checkBuffer(
  context: WalkContext,
  buffer: ArrayBufferLike,
  value: object,
  depth: number,
): void {
  if (types.isSharedArrayBuffer(buffer)) {
    context.refuse('is backed by a SharedArrayBuffer: copy it first', value, depth);
  }
  const { resizable } = buffer as ArrayBuffer & { resizable?: boolean };
  if (resizable === true) context.refuse('is backed by a resizable buffer', value, depth);
  if (buffer.byteLength === 0 && isDetached(buffer)) {
    context.refuse('is backed by a buffer that was transferred away', value, depth);
  }
}

function isDetached(buffer: ArrayBuffer): boolean {
  try {
    return new Uint8Array(buffer).length !== 0;
  } catch {
    // A view over an empty buffer can be made; over a detached one it cannot.
    return true;
  }
}

function writeError(name: string, context: WalkContext, value: object, depth: number): void {
  context.noSymbols(value, depth);
  const begin = context.writer.beginExt(EXT_ERROR);
  context.writer.string(name);
  for (const property of Object.getOwnPropertyNames(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, property);
    let item: unknown = descriptor?.value;
    // Newer runtimes make `stack` an accessor of their own.
    if (property === 'stack') item = (value as Error).stack;
    else if (descriptor?.writable === undefined) {
      context.refuse(`has the accessor property ${JSON.stringify(property)}`, value, depth);
    }
    context.text(property, value, depth);
    context.writer.byte(descriptor?.enumerable === true ? 0xc3 : 0xc2);
    context.child(item, depth, property);
  }
  context.writer.endExt(begin);
}
