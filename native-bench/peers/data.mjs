/*
 * Keys, values and orders that all contenders get alike. Everything is made from a seed, so that each
 * contender of a round does the same work, and the next round another.
 */

import { makeRandom } from '../../test/bench/statistics.mjs';

export { makeRandom };

export const keyBytes = 16;
export const entryBytes = 100;

/** The key of a number: 16 characters, ordered as the numbers are. */
export function keyOf(number) {
  return `key-${String(number).padStart(keyBytes - 4, '0')}`;
}

/** Values that make entries of 100 bytes; no codec makes them smaller. */
export function makeValues(seed, count = 1024) {
  const random = makeRandom(seed);
  return Array.from({ length: count }, () => {
    const value = Buffer.alloc(entryBytes - keyBytes);
    for (let at = 0; at < value.length; at += 4) value.writeUInt32LE(random() * 2 ** 32, at);
    return value;
  });
}

/** Gives the number of the next key: each one in turn, or any of `count`. */
export function makeOrder(order, count, seed) {
  if (order === 'sequential') {
    let next = 0;
    return () => next++;
  }
  const random = makeRandom(seed);
  return () => Math.floor(random() * count);
}

/** Numbers below `count`, Zipf-distributed with exponent 1 (inverse of the distribution's sums). */
export function makeZipf(count, seed) {
  const random = makeRandom(seed);
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) sums[i] = sum += 1 / (i + 1);
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    // Spread, so that the keys that are used most do not stand side by side.
    return Math.imul(low + 1, 0x9e37_79b1) >>> 0;
  };
}

/** A record as a job keeps one: numbers that differ and texts that repeat; JSON of about 200 bytes. */
export function makeRecord(number, random) {
  const whole = (below) => Math.floor(random() * below);
  return {
    route: `${airports[number % 61]}-${airports[(number * 7) % 61]}`,
    flights: whole(10_000),
    delaySum: whole(1_000_000) - 1000,
    delaySquareSum: whole(100_000_000),
    delayMin: -whole(60),
    delayMax: whole(600),
    distanceSum: whole(50_000_000),
    carrier: ['United', 'Delta', 'Southwest', 'American'][whole(4)],
    updated: '2001-04-17T12:00:00Z',
  };
}

const airports = Array.from({ length: 61 }, (_, i) =>
  String.fromCharCode(65 + (i % 26), 65 + ((i * 5) % 26), 65 + ((i * 11) % 26)),
);
