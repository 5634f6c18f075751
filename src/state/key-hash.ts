/*
 * Hashes of the keys of memtables, in this process only: whatever it gives, nothing stored depends on
 * it. Every character counts, and the seed is the process's own, so that keys from outside cannot be
 * made to collide.
 */
import { systemRandom } from '../std/random.ts';

/** Keys of memtables: what `mapKeyOf` gives. */
export type MapKey = string | number | bigint | boolean;

const seedBytes = new Uint8Array(4);
systemRandom.fill(seedBytes);
const seed = new Int32Array(seedBytes.buffer)[0]!;

let lastText = '';
let lastHash = hashText('');

const number = new Float64Array(1);
const words = new Int32Array(number.buffer);

/** A signed 32-bit hash. */
export function keyHash(key: MapKey): number {
  if (typeof key === 'number') {
    number[0] = key;
    return finish(step(step(seed, words[0]!), words[1]!));
  }
  const text = typeof key === 'string' ? key : String(key);
  // A key is looked for, then set: the same text twice in a row.
  if (text === lastText) return lastHash;
  lastText = text;
  lastHash = hashText(text);
  return lastHash;
}

function hashText(text: string): number {
  const { length } = text;
  let hash = seed ^ length;
  let at = 0;
  for (; at + 1 < length; at += 2) {
    hash = step(hash, text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
  }
  if (at < length) hash = step(hash, text.charCodeAt(at));
  return finish(hash);
}

function step(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

function finish(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
