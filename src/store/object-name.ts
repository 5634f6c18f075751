/*
 * The rule of object names. It is narrow on purpose: a name is the same text as a path, as a URL
 * part and as a key of every object storage, and it can never lead out of a directory.
 */
import { InvalidArgumentError } from '../errors.ts';

/** Characters of a name. */
export const objectNameLengthMax = 512;

/** Characters of one part between `/`; file systems take no longer names. */
export const objectNamePartLengthMax = 255;

const characters = /^[A-Za-z0-9._/-]*$/;

/** Throws InvalidArgumentError INVALID_NAME unless the text may name an object. */
export function checkObjectName(name: string): void {
  const problem = problemOfName(name);
  if (problem !== undefined) throw invalidName('object name', problem, name);
}

/** Throws InvalidArgumentError INVALID_NAME unless a name can start with the text; `''` is legal. */
export function checkObjectPrefix(prefix: string): void {
  if (prefix === '') return;
  const problem = problemOfPrefix(prefix);
  if (problem !== undefined) throw invalidName('object name prefix', problem, prefix);
}

/** True when the text may name an object. */
export function isObjectName(text: string): boolean {
  return problemOfName(text) === undefined;
}

function problemOfName(name: string): string | undefined {
  if (typeof name !== 'string') return 'not a string';
  if (name === '') return 'empty';
  if (name.endsWith('/')) return 'ends with /';
  return problemOfCharacters(name) ?? problemOfParts(name.split('/'));
}

/** The last part of a prefix is unfinished, so it may be anything that a part starts with. */
function problemOfPrefix(prefix: string): string | undefined {
  if (typeof prefix !== 'string') return 'not a string';
  const parts = prefix.split('/');
  const unfinished = parts.pop() ?? '';
  if (unfinished.length > objectNamePartLengthMax) return 'a part is too long';
  return problemOfCharacters(prefix) ?? problemOfParts(parts);
}

function problemOfCharacters(text: string): string | undefined {
  if (text.length > objectNameLengthMax) return `longer than ${objectNameLengthMax} characters`;
  return characters.test(text) ? undefined : 'a character outside of A-Z a-z 0-9 . _ / -';
}

function problemOfParts(parts: readonly string[]): string | undefined {
  for (const part of parts) {
    if (part === '') return 'starts with / or has //';
    if (part === '.' || part === '..') return 'a part is . or ..';
    if (part.length > objectNamePartLengthMax) return 'a part is too long';
  }
  return undefined;
}

function invalidName(what: string, problem: string, name: unknown): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_NAME', `not an ${what}: ${problem}: ${String(name)}`, {
    name,
    problem,
  });
}
