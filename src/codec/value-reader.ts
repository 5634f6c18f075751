/*
 * Values as a reader decodes them. A store may hold values of types that whoever reads it does not
 * have; those come as what `encode` of the type returned, with the name and version of the type, so
 * that a store can be read whole without running code that it names.
 */
import { ValueDecoder } from './value-decoder.ts';
import { createValueCodec, type TypeDefinition } from './value.ts';

/** A stored value of a type that the reader was not given. */
export class UnknownTypeValue {
  /** Stored name of the type. */
  readonly type: string;
  readonly version: number;
  /** What the type's `encode` returned. */
  readonly data: unknown;

  constructor(type: string, version: number, data: unknown) {
    this.type = type;
    this.version = version;
    this.data = data;
  }
}

/** Makes a decoder that knows the given types, checked, and takes all others as they are. */
export function createReaderDecoder(types: readonly TypeDefinition[] = []): ValueDecoder {
  // Refuses what is no definition, as openEngine does.
  createValueCodec(types);
  return new ValueDecoder(new AllTypes(types.map((type) => [type.name, type])));
}

class AllTypes extends Map<string, TypeDefinition> {
  override get(name: string): TypeDefinition {
    return super.get(name) ?? unknownType(name);
  }
}

function unknownType(name: string): TypeDefinition {
  return {
    name,
    class: UnknownTypeValue,
    version: Number.MAX_SAFE_INTEGER,
    encode: (value: unknown): unknown => value,
    decode: (data, version) => new UnknownTypeValue(name, version, data),
  };
}
