/*
 * Values as JSON, unambiguously. What JSON cannot hold becomes an object with one key that starts
 * with `$`; an object of the user that has such a key is written as `$object`, so the two are never
 * taken for each other. docs/CLI.md has the table.
 */
import { PatchReplacement, UnknownTypeValue } from '../engine/index.ts';

/** A value that JSON holds. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** One line of JSON, without characters that a terminal could take for commands. */
export function toJson(value: Json | Readonly<Record<string, unknown>>): string {
  return JSON.stringify(value).replaceAll(/[\u007f-\u009f\u2028\u2029]/g, escape);
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The JSON form of a value that a store can hold. */
export function renderValue(value: unknown): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return renderNumber(value);
    case 'bigint':
      return { $bigint: String(value) };
    case 'undefined':
      return { $undefined: true };
    case 'object':
      return value === null ? null : renderObject(value);
    default:
      throw new TypeError(`a store holds no ${typeof value}`);
  }
}

function renderNumber(value: number): Json {
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  return { $number: Object.is(value, -0) ? '-0' : String(value) };
}

function renderObject(value: object): Json {
  if (Array.isArray(value)) return value.map(renderValue);
  if (value instanceof Map) {
    return { $map: [...value].map(([key, item]) => [renderValue(key), renderValue(item)]) };
  }
  if (value instanceof Set) return { $set: [...value].map(renderValue) };
  if (value instanceof Date) {
    return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
  }
  if (value instanceof RegExp) {
    const { source, flags, lastIndex } = value;
    return { $regexp: { source, flags, lastIndex } };
  }
  if (value instanceof Error) return renderError(value);
  if (value instanceof UnknownTypeValue) {
    const { type, version, data } = value;
    return { $type: { name: type, version, data: renderValue(data) } };
  }
  if (value instanceof PatchReplacement) return { $replace: renderValue(value.value) };
  if (value instanceof ArrayBuffer) return { $ArrayBuffer: base64(new Uint8Array(value)) };
  if (ArrayBuffer.isView(value)) return renderView(value);
  return renderPlain(value);
}

function renderView(value: ArrayBufferView): Json {
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (Buffer.isBuffer(value)) return { $Buffer: base64(bytes) };
  if (value instanceof Uint8Array) return { $bytes: base64(bytes) };
  if (value instanceof DataView) return { $DataView: base64(bytes) };
  const items = Array.from(value as unknown as Iterable<number | bigint>, (item) =>
    typeof item === 'bigint' ? String(item) : renderNumber(item),
  );
  return { [`$${value.constructor.name}`]: items };
}

function renderError(value: Error): Json {
  const properties = Object.getOwnPropertyNames(value).map((name): Json => {
    const { value: held } = Object.getOwnPropertyDescriptor(value, name) as { value: unknown };
    return [name, renderValue(held)];
  });
  const { constructor } = Object.getPrototypeOf(value) as Error;
  return { $error: { class: constructor.name, properties } };
}

function renderPlain(value: object): Json {
  const entries = Object.entries(value).map(([key, item]): [string, Json] => [
    key,
    renderValue(item),
  ]);
  if (Object.getPrototypeOf(value) === null) return { $nullObject: entries };
  if (entries.some(([key]) => key.startsWith('$'))) return { $object: entries };
  return Object.fromEntries(entries);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Microseconds as a time of day in UTC, to the microsecond. */
export function formatTime(micros: number): string {
  const milliseconds = Math.floor(micros / 1000);
  const rest = String(micros - milliseconds * 1000).padStart(3, '0');
  return new Date(milliseconds).toISOString().replace('Z', `${rest}Z`);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Bytes with a unit: three digits, exact below 1024. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${UNITS[unit]}`;
}
