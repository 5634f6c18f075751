/*
 * The value codec: what a user stores, to self-contained bytes and back, exactly. What would not
 * come back exactly is refused before anything is kept. docs/VALUES.md is the table for users,
 * value-format.ts the bytes. One codec belongs to one thread.
 */
import { badOption } from '../std/option-checks.ts';
import { isBuiltIn } from './value-built-ins.ts';
import { ValueDecoder } from './value-decoder.ts';
import { ValueEncoder } from './value-encoder.ts';
import type { TypeDefinition } from './value-type.ts';
import type { ByteTarget } from './value-writer.ts';

export { deepFreeze } from './value-freeze.ts';
export type { TypeDefinition } from './value-type.ts';

/** Encodes and decodes values. */
export interface ValueCodec {
  /**
   * Encodes a value, behind its version where that is above 1 (value-version.ts). The result is
   * borrowed: it is valid until the next call of `encode`.
   * @throws InvalidArgumentError INVALID_VALUE, with `path`, `reason` and `type`, before anything
   * is kept; INVALID_CALL from within the `encode` of a registered type.
   */
  encode(value: unknown, version?: number): Uint8Array;
  /** As `encode`, into the bytes of a target; one that is refused leaves `at` as it was. */
  encodeInto(target: ByteTarget, value: unknown, version?: number): void;
  /**
   * Decodes a copy of a value without version: nothing of the result aliases `bytes`, which may be shared memory.
   * @throws CorruptionError CORRUPT_SNAPSHOT when the bytes are not those of a value.
   * @throws IncompatibleError CODEC_UNAVAILABLE for a type that is not registered, SCHEMA_CHANGED
   * for a version that its `decode` does not take.
   */
  decode(bytes: Uint8Array, start: number, end: number): unknown;
}

/**
 * Makes a codec for the built-in values and the given types.
 * @throws InvalidArgumentError INVALID_OPTION for a definition that is empty, repeated, not of a
 * class, or of a class that is a value already.
 */
export function createValueCodec(types: readonly TypeDefinition[] = []): ValueCodec {
  const byName = new Map<string, TypeDefinition>();
  const byPrototype = new Map<object, TypeDefinition>();
  for (const [index, type] of types.entries()) {
    const own = checkType(type, index);
    const prototype = own.class.prototype as object;
    if (byName.has(own.name)) refuse(index, `repeats the name ${own.name}`);
    if (byPrototype.has(prototype)) refuse(index, `repeats the class of another type: ${own.name}`);
    byName.set(own.name, own);
    byPrototype.set(prototype, own);
  }
  const encoder = new ValueEncoder(byPrototype);
  const decoder = new ValueDecoder(byName);
  return {
    encode: (value, version) => encoder.encode(value, version),
    encodeInto: (target, value, version) => encoder.encodeInto(target, value, version),
    decode: (bytes, start, end) => decoder.decode(bytes, start, end),
  };
}

/** A checked definition that the caller cannot change afterwards. */
function checkType(type: TypeDefinition, index: number): TypeDefinition {
  if (typeof type !== 'object' || type === null) refuse(index, 'is not an object');
  const { name, version = 1 } = type;
  if (typeof name !== 'string' || name === '') refuse(index, 'has no name');
  if (Buffer.from(name).toString() !== name) refuse(index, 'has an ill-formed name');
  const prototype: unknown = typeof type.class === 'function' ? type.class.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) {
    refuse(index, `has no class: ${name}`);
  }
  if (isBuiltIn(prototype)) refuse(index, `is of a class that is a value already: ${name}`);
  if (typeof type.encode !== 'function' || typeof type.decode !== 'function') {
    refuse(index, `lacks encode or decode: ${name}`);
  }
  if (!Number.isSafeInteger(version) || version < 1) {
    refuse(index, `has a version that is not a positive integer: ${name}`);
  }
  const hasUpgrade = type.upgrade !== undefined;
  if (hasUpgrade && typeof type.upgrade !== 'function') {
    refuse(index, `has an upgrade that is no function: ${name}`);
  }
  if (hasUpgrade && version === 1) {
    refuse(index, `has an upgrade, and no version above 1: ${name}`);
  }
  return {
    name,
    version,
    class: type.class,
    encode: (value) => type.encode(value),
    decode: (data, stored) => type.decode(data, stored),
    ...(hasUpgrade && { upgrade: (data, from) => type.upgrade!(data, from) }),
  };
}

function refuse(index: number, reason: string): never {
  throw badOption(`types[${index}]`, reason, undefined, { index, reason });
}
