/*
 * Blocks of realistic state: flights (vega-datasets) as entries, each the length and bytes of a key,
 * the length and MessagePack bytes of a row. Rows come in hashed order, as they stand in a snapshot.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { pack } from 'msgpackr';

/** The package does not export its files one by one. */
const FLIGHTS = path.join(import.meta.dirname, 'node_modules/vega-datasets/data/flights-20k.json');

/** The bytes of all entries, one after the other. */
export function encodeFlights() {
  const flights = JSON.parse(fs.readFileSync(FLIGHTS, 'utf8'));
  const entries = flights.map((flight, i) => {
    const key = Buffer.from(`flight:${i}`);
    const value = pack(flight);
    const entry = Buffer.alloc(4 + key.length + value.length);
    entry.writeUInt16LE(key.length, 0);
    entry.writeUInt16LE(value.length, 2);
    key.copy(entry, 4);
    value.copy(entry, 4 + key.length);
    return { order: createHash('md5').update(key).digest().readUInt32BE(0), entry };
  });
  return Buffer.concat(entries.sort((a, b) => a.order - b.order).map(({ entry }) => entry));
}

/** As many whole blocks of a size as there are, at most `countMax`. */
export function blocksOf(bytes, size, countMax) {
  const blocks = [];
  for (let at = 0; at + size <= bytes.length && blocks.length < countMax; at += size) {
    blocks.push(Uint8Array.from(bytes.subarray(at, at + size)));
  }
  return blocks;
}
