/*
 * Keys and names on the command line. Plain text is a string; one letter and a colon say that it is
 * something else, so every key can be written, and a text that happens to start like that is a
 * string behind `s:`. `j:` takes what dump prints.
 */
import type { Key } from '../engine/index.ts';
import { InvalidArgumentError } from '../errors.ts';

const PREFIX = /^([snibxj]):/;

/** The key that an argument means. */
export function parseKey(text: string): Key {
  const kind = PREFIX.exec(text)?.[1];
  if (kind === undefined) return text;
  const rest = text.slice(2);
  switch (kind) {
    case 's':
      return rest;
    case 'n':
      return parseNumber(rest, text);
    case 'i':
      return parseBigint(rest, text);
    case 'b':
      if (rest === 'true' || rest === 'false') return rest === 'true';
      throw badKey(text, 'a boolean is true or false');
    case 'x':
      return parseHex(rest, text);
    default:
      return keyOfJson(parseJson(rest, text), text);
  }
}

/** The name of an operator or a state. */
export function parseName(text: string): string {
  if (!text.startsWith('j:')) return text;
  const name = parseJson(text.slice(2), text);
  if (typeof name === 'string') return name;
  throw badKey(text, 'a name is a string');
}

function parseNumber(rest: string, text: string): number {
  const plain = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(rest);
  if (plain || /^[+-]?Infinity$/.test(rest)) return Number(rest);
  throw badKey(text, 'it is no number');
}

function parseBigint(rest: string, text: string): bigint {
  if (/^-?\d+$/.test(rest)) return BigInt(rest);
  throw badKey(text, 'it is no whole number');
}

function parseHex(rest: string, text: string): Uint8Array {
  if (rest.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(rest)) {
    return Uint8Array.from(Buffer.from(rest, 'hex'));
  }
  throw badKey(text, 'bytes are pairs of hexadecimal digits');
}

function parseJson(rest: string, text: string): unknown {
  try {
    return JSON.parse(rest);
  } catch (error) {
    throw badKey(text, 'it is no JSON', error);
  }
}

/** A key of the form that render.ts gives it. */
function keyOfJson(json: unknown, text: string): Key {
  if (typeof json === 'string' || typeof json === 'number' || typeof json === 'boolean')
    return json;
  if (Array.isArray(json)) return json.map((item: unknown) => keyOfJson(item, text));
  const entries = typeof json === 'object' && json !== null ? Object.entries(json) : [];
  const [tag, held] = entries.length === 1 ? entries[0]! : ['', undefined];
  if (typeof held === 'string') {
    if (tag === '$bigint') return parseBigint(held, text);
    if (tag === '$number') return parseNumber(held, text);
    if (tag === '$bytes' && Buffer.from(held, 'base64').toString('base64') === held) {
      return Uint8Array.from(Buffer.from(held, 'base64'));
    }
  }
  throw badKey(text, 'it is not the JSON form of a key');
}

function badKey(text: string, why: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_KEY', `${why}: ${text}`, { text }, cause);
}
