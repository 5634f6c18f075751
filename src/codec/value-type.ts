/*
 * What a program says of a class to make its instances storable. Public; checked by value.ts.
 */

/**
 * Makes the instances of a class values that can be stored.
 *
 * Only direct instances count: a subclass is a type of its own and needs a definition of its own.
 */
// A list holds definitions of different classes, which no other type parameter allows.
// oxlint-disable-next-line typescript/no-explicit-any
export interface TypeDefinition<T = any> {
  /** The stored name of the type: never changed while values of it are kept. */
  name: string;
  /** The class; not one of the built-in classes that are values already. */
  class: abstract new (...args: never[]) => T;
  /** Returns what is stored: any value, other registered types included. */
  encode(value: T): unknown;
  /**
   * Makes the instance from what `encode` of the given version returned; with `upgrade` that is always
   * this one.
   */
  decode(data: unknown, version: number): T;
  /**
   * Makes of what `encode` of an older version returned what this one's would; synchronously, whenever
   * such a value is read, and of nothing but its arguments.
   * @defaultValue none: `decode` is given what older versions stored
   */
  upgrade?(data: unknown, fromVersion: number): unknown;
  /**
   * The version that `encode` writes, a positive integer. Data of a later version is refused.
   * @defaultValue 1
   */
  version?: number;
}
