/*
 * Codecs and levels on blocks of 64 KiB: ratio and speed each way, beside a copy of the same bytes.
 * Rounds are interleaved, medians printed; each round of a codec is cut off after a while, so that
 * slow ones are measured on fewer blocks.
 */
import { loadCodec } from '../../dist/codec/compression.js';
import { registerCodecs, registeredCodec } from '../../dist/codec/compression-modules.js';

const BLOCK_BYTES = 65_536;
const ROUND_MS = 120;
const blocksMax = 128;
const settings = [
  ['none'],
  ['lz4'],
  ['snappy'],
  ['zstd', 1],
  ['zstd', 3],
  ['zstd', 9],
  ['zstd', 19],
  ['gzip', 1],
  ['gzip', 6],
  ['gzip', 9],
  ['brotli', 1],
  ['brotli', 4],
  ['brotli', 6],
  ['brotli', 9],
  ['brotli', 11],
];

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Bytes a millisecond of calls, for as many blocks as a round has time for. */
function rateOf(blocks, act) {
  const startedAt = performance.now();
  let bytes = 0;
  for (let i = 0; performance.now() - startedAt < ROUND_MS; i++) {
    const block = blocks[i % blocks.length];
    act(block);
    bytes += block.raw.length;
  }
  return bytes / (performance.now() - startedAt);
}

function sample(bytes) {
  const count = Math.floor(bytes.length / BLOCK_BYTES);
  const step = Math.max(1, Math.floor(count / blocksMax));
  const blocks = [];
  for (let i = 0; i < count && blocks.length < blocksMax; i += step) {
    blocks.push(bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES));
  }
  return blocks;
}

/** Registers gzip as a user's codec: what it costs that its work is checked. */
await registerCodecs([
  { name: 'own-gzip', module: new URL('savings-own-gzip.mjs', import.meta.url) },
]);

export function codecTable(title, bytes, rounds) {
  const target = new Uint8Array(BLOCK_BYTES);
  const runs = [
    ...settings.map(([name, level]) => ({
      name: level === undefined ? name : `${name} ${level}`,
      codec: loadCodec(name, level),
    })),
    { name: 'own gzip 6', codec: registeredCodec('own-gzip') },
  ].map(({ name, codec }) => ({ name, codec, write: [], read: [] }));
  const raws = sample(bytes);
  for (const run of runs) {
    const slow = ['brotli 11', 'zstd 19'].includes(run.name);
    const some = slow ? raws.filter((_, i) => i % 8 === 0) : raws;
    run.blocks = some.map((raw) => ({ raw, stored: run.codec.compress(raw) }));
    const stored = run.blocks.reduce((sum, block) => sum + block.stored.length, 0);
    run.saved = 1 - stored / (some.length * BLOCK_BYTES);
    run.poor = run.blocks.filter(
      ({ stored: { length } }) => length > BLOCK_BYTES * (15 / 16),
    ).length;
  }
  for (let round = 0; round < rounds; round++) {
    for (const { codec, blocks, write, read } of runs) {
      write.push(rateOf(blocks, ({ raw }) => codec.compress(raw)));
      read.push(rateOf(blocks, ({ stored }) => codec.decompressInto(stored, target)));
    }
  }
  console.log(`\nCodecs on ${title}: median of ${rounds} rounds`);
  console.log('              saves    ratio   write MB/s   read MB/s   blocks left raw');
  for (const { name, saved, write, read, poor, blocks } of runs) {
    const columns = [
      name.padEnd(12),
      `${(saved * 100).toFixed(1)} %`.padStart(7),
      (1 / (1 - saved)).toFixed(2).padStart(7),
      (median(write) / 1000).toFixed(1).padStart(12),
      (median(read) / 1000).toFixed(1).padStart(11),
      `${poor} of ${blocks.length}`.padStart(16),
    ];
    console.log(`  ${columns.join(' ')}`);
  }
}
