/*
 * What the merge kernel does on one thread: entries with keys of 16 bytes and values of 100, spread
 * evenly over hashes. Bytes are those of the inputs' entries. `slices` ends with slices in memory;
 * `file` also packs, writes and syncs them, and reads the digest. The limit is a copy of as many
 * bytes.
 */
import path from 'node:path';
import { nodeFileSystem } from '../../../dist/fs/node-file-system.js';
import { Entry } from '../../../dist/snapshot/entry.js';
import { slicesCursor } from '../../../dist/snapshot/log-fold.js';
import { MergeIterator } from '../../../dist/snapshot/merge-iterator.js';
import { collectSlices } from '../../../dist/snapshot/merge-sink.js';
import { SlabPool } from '../../../dist/snapshot/slab-pool.js';
import { SliceBuilder } from '../../../dist/snapshot/slice-builder.js';
import { Turns } from '../../../dist/snapshot/task-context.js';
import { runMerge } from '../../../dist/threads/merge-run.js';
import { InlinePool } from '../../../dist/threads/task-pool.js';

const MIB = 1024 * 1024;
const sliceBytesMax = 64 * MIB;
const idleBytesMax = 1024 * MIB;
const keyBytes = 16;
const valueBytes = 100;
const lastTimestamp = 1_000_000;
const turns = { yieldNow: async () => {}, cancelled: () => false };

/** A generator that gives the same numbers again. */
function makeRandom() {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
}

/** Slices of as many different keys out of twice as many as the largest image has. */
function makeImage(count, keySpace, lsn, random) {
  const keys = new Set();
  while (keys.size < count) keys.add(random() % keySpace);
  const ordered = [...keys].map((key) => [Math.imul(key, 0x9e37_79b1) >>> 0, key]);
  ordered.sort((a, b) => a[0] - b[0]);
  const builder = new SliceBuilder(new SlabPool(0), sliceBytesMax, MIB);
  const slices = [];
  const entry = new Entry();
  const bytes = new Uint8Array(keyBytes + valueBytes);
  const view = new DataView(bytes.buffer);
  Object.assign(entry, { table: 16, lsn, timestamp: lsn, op: 1, bytes });
  Object.assign(entry, { keyEnd: keyBytes, subKeyEnd: keyBytes, valueEnd: bytes.length });
  for (const [hash, key] of ordered) {
    view.setUint32(8, key);
    for (let at = keyBytes; at < bytes.length; at += 4) view.setUint32(at, random() >>> (at % 24));
    entry.hash = hash;
    if (!builder.fits(entry)) slices.push(builder.finish());
    builder.append(entry);
  }
  slices.push(builder.finish());
  return slices;
}

async function drain(inputs, base) {
  const slabs = new SlabPool(idleBytesMax);
  const options = { base, lastTimestamp, rules: [], groupBits: 7 };
  const merge = new MergeIterator(inputs.map(slicesCursor), options);
  const drain = { merge, inputBytes: bytesOf(inputs) };
  await collectSlices(drain, { slabs, sliceBytesMax, turns: new Turns(turns) });
}

async function write(inputs, { base, codec, stagedPath }) {
  const slabs = new SlabPool(idleBytesMax);
  await runMerge(new InlinePool(nodeFileSystem), {
    sources: inputs.map((slices) => ({ slices })),
    stagedPath,
    header: {
      kind: base ? 'base' : 'delta',
      storeId: new Uint8Array(16),
      timeline: 1,
      epoch: 1,
      fromLsn: 0,
      lastLsn: 100,
      lastTimestamp,
      seed: { low: 1, high: 2 },
      groupBits: 7,
    },
    rules: [],
    compression: { codec },
    threadsMax: 1,
    keepSlices: false,
    slabs,
  });
}

const bytesOf = (inputs) => inputs.flat().reduce((sum, slice) => sum + slice.dataBytes, 0);

export async function benchmark({ quick, directory }) {
  const entries = quick ? 100_000 : 400_000;
  const random = makeRandom();
  const images = (counts) =>
    counts.map((count, i) => makeImage(Math.floor(count), entries * 2, i + 1, random));
  const shapes = [
    {
      name: 'base, 5 deltas of 2 %',
      base: true,
      inputs: images([entries, ...Array(5).fill(entries / 50)]),
    },
    { name: 'base, 1 delta of 10 %', base: true, inputs: images([entries, entries / 10]) },
    { name: '4 equal deltas', base: false, inputs: images(Array(4).fill(entries / 4)) },
    { name: '10 equal deltas', base: false, inputs: images(Array(10).fill(entries / 10)) },
  ];
  const cases = [];
  const limit = 'limit: copy into new memory';
  const held = {
    aim: { text: '300 MB/s', valueMin: 300 },
    published: { text: '100 MB/s', source: 'merge' },
  };
  for (const { name, base, inputs } of shapes) {
    const bytes = bytesOf(inputs);
    cases.push({ name: `${name}: slices`, bytes, limit, ...held, run: () => drain(inputs, base) });
  }
  const { name, base, inputs } = shapes[0];
  for (const codec of ['none', 'lz4']) {
    const stagedPath = path.join(directory, `merged-${codec}`);
    cases.push({
      name: `${name}: file, ${codec}`,
      ...held,
      bytes: bytesOf(inputs),
      run: () => write(inputs, { base, codec, stagedPath }),
      clear: () => nodeFileSystem.unlink(stagedPath),
    });
  }
  const source = new Uint8Array(new SharedArrayBuffer(bytesOf(inputs)));
  cases.push({
    name: limit,
    bytes: source.length,
    run: () => new Uint8Array(new SharedArrayBuffer(source.length)).set(source),
  });
  return { title: 'The merge kernel on one thread', cases };
}
