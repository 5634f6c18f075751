/*
 * Chunk sizes: how much of a blob is new after a change, what the chunks themselves cost, and how
 * fast they are cut, for shapes around the one that is stored.
 */
import { createHash } from 'node:crypto';
import { chunkEnds, chunkShape } from '../../dist/codec/chunking.js';
import { changeClustered, changeScattered, jsonOf, makeRecords, random } from './savings-data.mjs';

const MB = 1_000_000;
/** Of a chunk beside its content: entry header, key, count, index, and its place in the blob. */
const CHUNK_COST_BYTES = 32 + 36 + 8 + 9 + 32;

function chunksOf(bytes, shape) {
  const chunks = new Map();
  let start = 0;
  for (const end of chunkEnds(bytes, shape)) {
    const chunk = bytes.subarray(start, end);
    chunks.set(createHash('sha256').update(chunk).digest('hex'), chunk.length);
    start = end;
  }
  return chunks;
}

function newBytes(before, after) {
  let bytes = 0;
  for (const [digest, length] of after) {
    if (!before.has(digest)) bytes += length + CHUNK_COST_BYTES;
  }
  return bytes;
}

function noise(length) {
  const next = random(11);
  return Uint8Array.from({ length }, () => next() * 256);
}

/** A copy with a megabyte written anew in so many places. */
function overwritten(bytes, places) {
  const next = random(13);
  const copy = bytes.slice();
  const part = MB / places;
  for (let place = 0; place < places; place++) {
    const at = Math.floor(next() * (copy.length - part));
    for (let i = 0; i < part; i++) copy[at + i] = next() * 256;
  }
  return copy;
}

function jsonChanged(change) {
  const records = makeRecords(10 * MB);
  change(records, 0.05, random(5));
  return Buffer.from(jsonOf(records));
}

export function shapeTable() {
  const large = noise(50 * MB);
  const json = Buffer.from(jsonOf(makeRecords(10 * MB)));
  const cases = [
    [large, overwritten(large, 1)],
    [large, overwritten(large, 16)],
    [json, jsonChanged(changeClustered)],
    [json, jsonChanged(changeScattered)],
  ];
  console.log(
    '\nChunk sizes: MB that are new after 1 MB of 50 MB of noise was changed in 1 place and in',
  );
  console.log('16, and after 5 % of the records of 10 MB of JSON were, neighbours and anywhere');
  console.log(
    '  usual     mean    chunks a GB   1 place  16 places  neighbours  anywhere  cut MB/s',
  );
  for (const bits of [12, 13, 14, 15, 16, 17]) {
    const shape = chunkShape(bits);
    const startedAt = performance.now();
    const count = chunkEnds(large, shape).length;
    const rate = large.length / (performance.now() - startedAt) / 1000;
    const fresh = cases.map(([before, after]) =>
      newBytes(chunksOf(before, shape), chunksOf(after, shape)),
    );
    const [one, many, near, anywhere] = fresh.map((bytes) => (bytes / MB).toFixed(2));
    const columns = [
      `${2 ** (bits - 10)} KiB`.padEnd(8),
      `${(large.length / count / 1024).toFixed(1)}K`.padStart(7),
      String(Math.round((1000 * MB * count) / large.length)).padStart(12),
      one.padStart(9),
      many.padStart(10),
      near.padStart(11),
      anywhere.padStart(9),
      rate.toFixed(0).padStart(9),
    ];
    console.log(`  ${columns.join(' ')}`);
  }
}
