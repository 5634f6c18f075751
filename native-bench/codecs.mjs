/*
 * Codecs by size of block: ratio and throughput, in bytes before compression. Then what decoding and
 * encoding many blocks in a row does to the memory of the process, each codec in a fresh one.
 */
import { execFileSync } from 'node:child_process';
import { codecCases } from './codec-cases.mjs';
import { fixed, interleave, medianOf, printTable } from './report.mjs';
import { blocksOf, encodeFlights } from './rows.mjs';
import { benchRounds } from './timing.mjs';

const SIZES = [4096, 16_384, 65_536, 262_144];
const ROUNDS = 5;
const BLOCKS_MAX = 4;

export async function benchCodecs() {
  const bytes = encodeFlights();
  const codecs = codecCases();
  const cases = {};
  const ratios = new Map();
  for (const size of SIZES) {
    const blocks = blocksOf(bytes, size, BLOCKS_MAX);
    const target = new Uint8Array(new SharedArrayBuffer(size));
    for (const [name, { compress, decompress }] of Object.entries(codecs)) {
      const compressed = blocks.map((block) => Uint8Array.from(compress(block)));
      check(name, blocks, compressed, decompress);
      const total = compressed.reduce((sum, { length }) => sum + length, 0);
      ratios.set(`${name} ${size}`, total / (size * blocks.length));
      let turn = 0;
      cases[`${name} ${size} compress`] = () => compress(blocks[turn++ % blocks.length]);
      cases[`${name} ${size} decompress`] = () =>
        decompress(compressed[turn++ % blocks.length], target);
    }
  }
  const results = await benchRounds(ROUNDS, cases, 20, 4);
  const rate = (name, size, act) =>
    fixed(size / medianOf(results.get(`${name} ${size} ${act}`), 'microseconds'));
  const rows = Object.keys(codecs).flatMap((name) =>
    SIZES.map((size) => [
      name,
      `${size / 1024} KiB`,
      fixed(ratios.get(`${name} ${size}`), 3),
      rate(name, size, 'compress'),
      rate(name, size, 'decompress'),
    ]),
  );
  printTable(
    `Codecs on encoded flights: median of ${ROUNDS} interleaved rounds`,
    ['codec', 'block', 'ratio', 'compress MB/s', 'decompress MB/s'],
    rows,
  );
  await benchMemory(Object.keys(codecs));
}

function check(name, blocks, compressed, decompress) {
  for (const [i, block] of blocks.entries()) {
    const target = new Uint8Array(block.length);
    decompress(compressed[i], target);
    if (Buffer.compare(target, block) !== 0) throw new Error(`${name} lost bytes`);
  }
}

async function benchMemory(names) {
  const run = (name, act) => () =>
    JSON.parse(
      execFileSync(process.execPath, [`${import.meta.dirname}/codec-memory.mjs`, name, act]),
    );
  const cases = {};
  for (const name of names) {
    for (const act of ['compress', 'decompress']) cases[`${name}\n${act}`] = run(name, act);
  }
  const results = await interleave(ROUNDS, cases);
  const rows = [...results].map(([key, found]) => [
    key.split('\n')[0],
    key.split('\n')[1],
    fixed(medianOf(found, 'megabytesPerSecond')),
    fixed(medianOf(found, 'residentMegabytes')),
  ]);
  printTable(
    `1500 blocks of 64 KiB in a row, a fresh process each: median of ${ROUNDS} interleaved rounds`,
    ['codec', 'act', 'MB/s', 'RSS grows by MB at most'],
    rows,
  );
}
