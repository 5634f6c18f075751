/*
 * (h) Bytes on the disk and peak memory: records of a job (JSON of about 200 bytes) are written once,
 * three in ten of them twice more, one in twenty is deleted; then the store is compacted and closed.
 * Bytes are what the file system has allocated. Tidemark twice beside its defaults: with small
 * segments, and one checkpoint by itself, as a restore makes it, which compares with the compact
 * copies of the others.
 */
import fs from 'node:fs';
import path from 'node:path';
import { keyOf, makeRandom, makeRecord } from '../data.mjs';

const MIB = 1024 * 1024;
const batch = 1000;

const variants = [
  { variant: 'defaults' },
  {
    variant: 'no space ahead',
    of: 'tidemark',
    engine: { segmentBytesMax: 4 * MIB, retention: { checkpoints: 1 } },
  },
  {
    variant: 'one checkpoint alone',
    of: 'tidemark',
    alone: true,
    engine: { segmentBytesMax: 4 * MIB, retention: { checkpoints: 1 } },
  },
];

export const disk = {
  letter: 'h',
  title: 'Disk after compaction, and peak memory',
  metrics: [
    { name: 'diskBytes', unit: 'bytes', better: 'less', title: 'disk' },
    { name: 'peakMemoryBytes', unit: 'bytes', better: 'less', title: 'peak memory' },
  ],
  cases: (sizes) => [
    {
      name: `${sizes.records.toLocaleString('en')} records`,
      entries: sizes.records,
      records: true,
    },
  ],
  variants,
  /** What peers are compared with: like a compact copy, it holds the state once. */
  reference: 'tidemark, one checkpoint alone',
  steps: [
    {
      name: 'run',
      async run({ open, case: { entries }, seed, dir, variant }) {
        const { engine, alone } = variants.find(({ variant: name }) => name === variant);
        const store = await open({ records: true, ...(engine === undefined ? {} : { engine }) });
        const random = makeRandom(seed);
        const commit = (numbers) =>
          store.commit(numbers.map((number) => [keyOf(number), makeRecord(number, random)]));
        for (let from = 0; from < entries; from += batch) {
          const count = Math.min(batch, entries - from);
          await commit(Array.from({ length: count }, (_, i) => from + i));
        }
        for (let written = 0; written < entries * 0.6; written += batch) {
          await commit(Array.from({ length: batch }, () => Math.floor(random() * entries * 0.3)));
        }
        for (let at = 0; at < entries / 20; at += batch) {
          const count = Math.min(batch, Math.ceil(entries / 20) - at);
          await store.remove(Array.from({ length: count }, (_, i) => keyOf((at + i) * 20)));
        }
        await store.settle?.();
        await store.compact();
        const place = alone ? await store.onlyOne() : dir;
        if (!alone) await store.close();
        return { diskBytes: allocated(place) };
      },
    },
  ],
};

function allocated(place) {
  const stat = fs.lstatSync(place);
  if (!stat.isDirectory()) return stat.blocks * 512;
  return fs.readdirSync(place).reduce((sum, name) => sum + allocated(path.join(place, name)), 0);
}
