/*
 * One codec and one act over many blocks in a row; prints the throughput and by how much the memory
 * of the process grew at most, collections included. Run by codecs.mjs in a process of its own.
 */
import { codecCases } from './codec-cases.mjs';
import { blocksOf, encodeFlights } from './rows.mjs';

const BLOCKS = 1500;
const BLOCK_BYTES = 65_536;
const PROBE_EVERY = 50;

const [name, act] = process.argv.slice(2);
const { compress, decompress } = codecCases()[name];
const blocks = blocksOf(encodeFlights(), BLOCK_BYTES, 8);
const compressed = blocks.map((block) => Uint8Array.from(compress(block)));
const target = new Uint8Array(BLOCK_BYTES);
const before = process.memoryUsage.rss();
let highest = before;
const start = performance.now();
for (let i = 0; i < BLOCKS; i++) {
  if (act === 'compress') compress(blocks[i % blocks.length]);
  else decompress(compressed[i % blocks.length], target);
  if (i % PROBE_EVERY === 0) highest = Math.max(highest, process.memoryUsage.rss());
}
const seconds = (performance.now() - start) / 1000;
console.log(
  JSON.stringify({
    megabytesPerSecond: (BLOCKS * BLOCK_BYTES) / 1e6 / seconds,
    residentMegabytes: (highest - before) / 1e6,
  }),
);
