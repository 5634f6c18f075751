/*
 * One walk over a value that checks and encodes it: what does not come back exactly is refused
 * with the path to it, before any byte is kept. No code of the value runs (no getter, no toJSON),
 * except the `encode` of a registered type and the traps of a proxy.
 * Called at commit on the main thread, so the common types come first.
 */
import { types } from 'node:util';
import { InvalidArgumentError } from '../errors.ts';
import { isArrayWithExtras, writeBuiltIn, type WalkContext } from './value-built-ins.ts';
import { EXT_NULL_OBJECT, EXT_TYPE, VALUE_BYTES_MAX, VALUE_DEPTH_MAX } from './value-format.ts';
import { formatPath, step, STEP_ENCODED, typeOf, type Step } from './value-path.ts';
import type { TypeDefinition } from './value-type.ts';
import { MARK } from './value-skip.ts';
import { ValueTooLarge, ValueWriter, type ByteTarget } from './value-writer.ts';

const {
  getOwnPropertyDescriptor,
  getOwnPropertyNames,
  getOwnPropertySymbols,
  getPrototypeOf,
  keys,
} = Object;
const OBJECT = Object.prototype;
const getterOf = (OBJECT as { __lookupGetter__?: (name: string) => unknown }).__lookupGetter__!;
const ARRAY = Array.prototype;
const BYTES = Uint8Array.prototype;
const BUFFER = Buffer.prototype;
/** Ancestors are searched for a cycle at every multiple of this depth: cheap where it is flat. */
const CYCLE_CHECK_DEPTH = 32;

export class ValueEncoder implements WalkContext {
  readonly writer: ValueWriter = new ValueWriter();
  readonly #types: ReadonlyMap<object, TypeDefinition>;
  /** The containers that are being written, and how each leads to the next. */
  readonly #parents: unknown[] = [];
  readonly #steps: Step[] = [];
  #busy = false;

  /** Types by the prototype of their class. */
  constructor(types: ReadonlyMap<object, TypeDefinition>) {
    this.#types = types;
  }

  /** Encodes a value, behind its version where that is above 1. */
  encode(value: unknown, version = 1): Uint8Array {
    this.#assertIdle();
    this.writer.start();
    this.#encode(value, version);
    return this.writer.finish();
  }

  /** As `encode`, behind what a target has; of a value that is refused it keeps nothing. */
  encodeInto(target: ByteTarget, value: unknown, version = 1): void {
    this.#assertIdle();
    this.writer.startIn(target);
    this.#encode(value, version);
    this.writer.finishIn(target);
  }

  #assertIdle(): void {
    if (!this.#busy) return;
    throw new InvalidArgumentError(
      'INVALID_CALL',
      'a value cannot be stored while another is being encoded by a registered type',
    );
  }

  #encode(value: unknown, version: number): void {
    this.#busy = true;
    try {
      if (version > 1) this.#version(version);
      this.write(value, 0);
    } catch (error) {
      this.writer.reset();
      // Not at each end: the array would be made anew for every value.
      this.#parents.length = 0;
      if (!(error instanceof ValueTooLarge)) throw error;
      this.refuse(`is larger than ${VALUE_BYTES_MAX} bytes when encoded`, value, 0);
    } finally {
      this.#busy = false;
    }
  }

  /** Writes a value that lies `depth` containers deep. */
  write(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'number':
        return this.writer.number(value);
      case 'string':
        return this.text(value, value, depth);
      case 'object':
        if (value === null) return this.writer.byte(0xc0);
        return this.#object(value, depth);
      case 'boolean':
        return this.writer.byte(value ? 0xc3 : 0xc2);
      case 'undefined':
        return this.writer.undefined();
      case 'bigint':
        return this.writer.bigint(value);
      default:
        return this.refuse(`is a ${typeof value}`, value, depth);
    }
  }

  /** Writes an item of the container that lies `depth` deep, under `step`. */
  child(value: unknown, depth: number, step: Step): void {
    this.#steps[depth] = step;
    this.write(value, depth + 1);
  }

  /** Writes a string that belongs to `owner`: itself, or the object whose key it is. */
  text(text: string, owner: unknown, depth: number): void {
    if (!this.writer.string(text)) {
      const what = owner === text ? 'is a string' : `has a name (${JSON.stringify(text)})`;
      this.refuse(`${what} with a lone surrogate, which has no UTF-8`, owner, depth);
    }
  }

  /**
   * Writes properties of an object as key and value, one after the other. Their descriptors are not
   * asked for: they would be a third of the garbage that a commit of small objects makes.
   */
  #properties(value: object, names: readonly string[], depth: number): void {
    if (types.isProxy(value)) return this.#propertiesOfProxy(value, names, depth);
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      if (getterOf.call(value, name) !== undefined) this.#refuseAccessor(name, depth);
      if (!this.writer.string(name)) this.text(name, value, depth);
      const item = (value as Readonly<Record<string, unknown>>)[name];
      if (typeof item === 'number') this.writer.number(item);
      else this.#property(value, item, depth, name);
    }
  }

  /** What stands behind a proxy is stored, and not what it hands out. */
  #propertiesOfProxy(value: object, names: readonly string[], depth: number): void {
    for (const name of names) {
      const descriptor = getOwnPropertyDescriptor(value, name);
      if (descriptor?.writable === undefined) this.#refuseAccessor(name, depth);
      this.text(name, value, depth);
      this.child(descriptor.value, depth, name);
    }
  }

  #property(value: object, item: unknown, depth: number, name: string): void {
    // What has a setter alone reads as undefined.
    if (item === undefined && getOwnPropertyDescriptor(value, name)?.writable === undefined) {
      this.#refuseAccessor(name, depth);
    }
    this.child(item, depth, name);
  }

  #refuseAccessor(name: string, depth: number): never {
    this.#steps[depth] = name;
    return this.refuse('is an accessor property', undefined, depth + 1);
  }

  /** Names of all properties of an object, none of which may be hidden or a symbol. */
  #names(value: object, depth: number): readonly string[] {
    this.noSymbols(value, depth);
    const names = keys(value);
    const all = getOwnPropertyNames(value);
    if (all.length !== names.length) {
      const hidden = all.find((name) => !names.includes(name));
      this.refuse(`has the non-enumerable property ${JSON.stringify(hidden)}`, value, depth);
    }
    return names;
  }

  /** Refuses an object with own properties beside those named, or with symbol keys. */
  onlyProperties(value: object, names: readonly string[], depth: number): void {
    for (const name of getOwnPropertyNames(value)) {
      if (!names.includes(name)) {
        this.refuse(`has the extra property ${JSON.stringify(name)}`, value, depth);
      }
    }
    this.noSymbols(value, depth);
  }

  noSymbols(value: object, depth: number): void {
    const symbols = getOwnPropertySymbols(value);
    if (symbols.length > 0) this.refuse(`has the key ${String(symbols[0])}`, value, depth);
  }

  refuse(reason: string, value: unknown, depth: number, cause?: unknown): never {
    const path = formatPath(this.#steps, depth);
    throw new InvalidArgumentError(
      'INVALID_VALUE',
      `the value cannot be stored: ${path === '' ? 'it' : path} ${reason}`,
      { path, reason, type: typeOf(value) },
      cause,
    );
  }

  #version(version: number): void {
    this.writer.byte(MARK);
    this.writer.byte(version >>> 8);
    this.writer.byte(version & 0xff);
  }

  #object(value: object, depth: number): void {
    if (depth % CYCLE_CHECK_DEPTH === 0 && depth > 0) this.#checkDepth(value, depth);
    const prototype = getPrototypeOf(value) as object | null;
    if (ArrayBuffer.isView(value) && (prototype === BYTES || prototype === BUFFER)) {
      return writeBuiltIn(this, value, prototype as object, depth);
    }
    this.#parents[depth] = value;
    if (prototype === OBJECT) this.#plain(value, depth);
    else if (prototype === ARRAY) this.#array(value as readonly unknown[], depth);
    else this.#other(value, prototype, depth);
    this.#parents[depth] = undefined;
  }

  #plain(value: object, depth: number): void {
    const names = this.#names(value, depth);
    this.writer.map(names.length);
    this.#properties(value, names, depth);
  }

  #array(value: readonly unknown[], depth: number): void {
    if (!Array.isArray(value)) this.refuse('only has the prototype of Array', value, depth);
    if (isArrayWithExtras(value)) this.#refuseExtras(value, depth);
    const length = value.length;
    this.writer.array(length);
    for (let i = 0; i < length; i++) {
      const item = value[i];
      if (item === undefined && !Object.hasOwn(value, i)) {
        this.refuse(`is a sparse array (no item at ${i}), which is not stored`, value, depth);
      }
      if (typeof item === 'number') this.writer.number(item);
      else this.child(item, depth, i);
    }
  }

  #refuseExtras(value: readonly unknown[], depth: number): never {
    this.noSymbols(value, depth);
    const isItem = (name: string): boolean => Number(name) < value.length && /^\d+$/.test(name);
    const extra = getOwnPropertyNames(value).find((name) => name !== 'length' && !isItem(name));
    if (extra === undefined) this.refuse('is a sparse array, which is not stored', value, depth);
    this.refuse(`is an array with the extra property ${JSON.stringify(extra)}`, value, depth);
  }

  #other(value: object, prototype: object | null, depth: number): void {
    if (prototype === null) {
      const begin = this.writer.beginExt(EXT_NULL_OBJECT);
      this.#properties(value, this.#names(value, depth), depth);
      this.writer.endExt(begin);
      return;
    }
    const type = this.#types.get(prototype);
    if (type === undefined) writeBuiltIn(this, value, prototype, depth);
    else this.#registered(type, value, depth);
  }

  #registered(type: TypeDefinition, value: object, depth: number): void {
    let data: unknown;
    try {
      data = type.encode(value);
    } catch (error) {
      this.refuse(`is a ${type.name} whose encode threw`, value, depth, error);
    }
    const begin = this.writer.beginExt(EXT_TYPE);
    this.writer.string(type.name);
    this.writer.number(type.version ?? 1);
    this.child(data, depth, step(STEP_ENCODED, 0));
    this.writer.endExt(begin);
  }

  /** Names the place where an ancestor is met for the first time, not where that was noticed. */
  #refuseCycle(value: object, depth: number): never {
    const ancestors = this.#parents.slice(0, depth);
    const first = ancestors.findIndex((one, i) => ancestors.indexOf(one) < i);
    const [at, met] = first < 0 ? [depth, value] : [first, ancestors[first]];
    return this.refuse('is part of a cycle', met, at);
  }

  #checkDepth(value: object, depth: number): void {
    // A cycle comes around to its own ancestors before it comes to the bound.
    if (this.#parents.includes(value)) this.#refuseCycle(value, depth);
    if (depth >= VALUE_DEPTH_MAX) {
      this.refuse(`is nested deeper than ${VALUE_DEPTH_MAX} containers`, value, depth);
    }
  }
}
