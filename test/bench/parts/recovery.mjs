/*
 * Opening a store: from its snapshot, and by replay of its log, against reading, checking and
 * decompressing as many bytes on all cores. The limit is a file of blocks of the same entries, 64 KiB
 * each, the same checksum and codec, in as many threads as there are cores, into shared memory.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { checksum } from '../../../dist/codec/checksum.js';
import { loadCodec } from '../../../dist/codec/compression.js';
import { createValueCodec } from '../../../dist/codec/value.js';
import { openEngine } from '../../../dist/bundle/index.js';

const blockBytes = 64 * 1024;

export async function benchmark({ quick, directory }) {
  const entries = quick ? 100_000 : 2_000_000;
  const stores = { snapshot: path.join(directory, 'snapshot'), log: path.join(directory, 'log') };
  const options = { memtableBytesMax: 2 ** 32, checkpointing: false, prefetch: 'aggressive' };
  let bytes = 0;
  for (const [kind, dir] of Object.entries(stores)) {
    const engine = await openEngine({ dir, ...options });
    bytes = await fill(engine, kind === 'snapshot' ? entries : entries / 4);
    if (kind === 'snapshot') await engine.checkpoint();
    if (kind === 'log') bytes = engine.stats().log.bytes;
    await engine.close();
    if (kind === 'snapshot') writeBlocks(directory, entries);
    stores[`${kind}Bytes`] = bytes;
  }
  const threads = os.availableParallelism();
  const workers = Array.from({ length: threads }, () => new Worker(readerSource, { eval: true }));
  const limit = `limit: read, check, decompress on ${threads} cores`;
  const opening = async (dir, measure, { prefetch } = options) => {
    const startedAt = performance.now();
    const engine = await openEngine({ dir, ...options, prefetch });
    const value = engine.operator('bench').value('state').get(keyOf(7));
    if (value?.count !== 7) throw new Error('an entry is not there');
    const found = await measure(engine, performance.now() - startedAt);
    await engine.close();
    return found;
  };
  const rate = (dir, size) => () => opening(dir, (engine, ms) => size / ms / 1000);
  return {
    title: `Opening a store of ${entries.toLocaleString('en')} entries, MB of keys and values a second`,
    cases: [
      { name: limit, unit: 'MB/s', run: () => readBlocks(directory, workers) },
      {
        name: 'from its snapshot',
        unit: 'MB/s',
        limit,
        aim: { text: '0.7 of the limit', ratioMin: 0.7 },
        published: { text: '200 MB/s', source: 'recovery' },
        run: rate(stores.snapshot, stores.snapshotBytes),
      },
      {
        name: 'by replay of a quarter as many entries, MB of log',
        unit: 'MB/s',
        published: { text: '200 MB/s', source: 'recovery' },
        run: rate(stores.log, stores.logBytes),
      },
      {
        name: 'open and first read, from its snapshot',
        unit: 'ms',
        better: 'less',
        aim: { text: '50 ms', valueMax: 50 },
        run: () => opening(stores.snapshot, (engine, ms) => ms, { prefetch: 'adaptive' }),
      },
      {
        name: 'V8 heap behind it',
        unit: 'bytes',
        better: 'less',
        run() {
          globalThis.gc();
          const before = process.memoryUsage().heapUsed;
          return opening(stores.snapshot, () => {
            globalThis.gc();
            return process.memoryUsage().heapUsed - before;
          });
        },
      },
      {
        name: 'memory of images for each byte of encoded entries',
        unit: 'bytes',
        better: 'less',
        aim: { text: 'at most 1.3', valueMax: 1.3 },
        run: () =>
          opening(stores.snapshot, (engine) => {
            const { imageBytes, storage } = engine.stats();
            return imageBytes / storage.entryBytes;
          }),
      },
      {
        name: 'memory of images for each byte of keys and values',
        unit: 'bytes',
        better: 'less',
        run: () =>
          opening(stores.snapshot, (engine) => engine.stats().imageBytes / stores.snapshotBytes),
      },
    ],
    async close() {
      for (const worker of workers) await worker.terminate();
    },
  };
}

const keyOf = (number) => `key-${String(number).padStart(12, '0')}`;
const valueOf = (number) => ({
  count: number,
  sum: number * 1.5,
  text: `some text to fill it ${number % 977}`,
});

/** Bytes of keys and encoded values that were committed, each entry once. */
async function fill(engine, entries) {
  const codec = createValueCodec();
  const state = engine.operator('bench').value('state');
  const pending = [];
  let bytes = 0;
  for (let i = 0; i < entries; i++) {
    state.set(keyOf(i), valueOf(i));
    bytes += keyOf(i).length + codec.encode(valueOf(i)).length;
    if (i % 1000 !== 999) continue;
    pending.push(engine.commit());
    if (pending.length > 8) await pending.shift();
  }
  await engine.commit();
  await Promise.all(pending);
  return bytes;
}

/** The same entries in compressed blocks, each behind its sizes and its checksum. */
function writeBlocks(directory, entries) {
  const codec = createValueCodec();
  const lz4 = loadCodec('lz4');
  const fd = fs.openSync(path.join(directory, 'blocks'), 'w');
  const block = Buffer.alloc(blockBytes + 1024);
  const places = [];
  let at = 0;
  let position = 0;
  const flush = () => {
    const raw = block.subarray(0, at);
    const packed = lz4.compress(raw);
    fs.writeSync(fd, packed, 0, packed.length, position);
    places.push([position, packed.length, at, checksum(packed)]);
    position += packed.length;
    at = 0;
  };
  for (let i = 0; i < entries; i++) {
    at += block.write(keyOf(i), at, 'latin1');
    const value = codec.encode(valueOf(i));
    block.set(value, at);
    at += value.length;
    if (at >= blockBytes) flush();
  }
  flush();
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  fs.writeFileSync(path.join(directory, 'places.json'), JSON.stringify(places));
}

/** Reads in runs of 4 MiB, as snapshots are read. */
const readerSource = `
  const { parentPort } = require('node:worker_threads');
  const fs = require('node:fs');
  parentPort.on('message', async ({ file, places, modules, target }) => {
    const [{ checksum }, { loadCodec }] = await Promise.all(modules.map((name) => import(name)));
    const lz4 = loadCodec('lz4');
    const fd = fs.openSync(file, 'r');
    let at = 0;
    for (let next = 0; next < places.length; ) {
      const start = places[next][0];
      let last = next;
      while (last + 1 < places.length && places[last + 1][0] - start < 4194304) last++;
      const run = Buffer.alloc(places[last][0] + places[last][1] - start);
      fs.readSync(fd, run, 0, run.length, start);
      for (; next <= last; next++) {
        const [position, bytes, rawBytes, sum] = places[next];
        const packed = run.subarray(position - start, position - start + bytes);
        if (checksum(packed) !== sum) throw new Error('a block is damaged');
        lz4.decompressInto(packed, target.subarray(at, at + rawBytes));
        at += rawBytes;
      }
    }
    fs.closeSync(fd);
    parentPort.postMessage(at);
  });
`;

async function readBlocks(directory, workers) {
  const places = JSON.parse(fs.readFileSync(path.join(directory, 'places.json'), 'utf8'));
  const dist = new URL('../../../dist/codec/', import.meta.url);
  const modules = ['checksum.js', 'compression.js'].map((name) => new URL(name, dist).href);
  const share = Math.ceil(places.length / workers.length);
  const startedAt = performance.now();
  const sizes = await Promise.all(
    workers.map((worker, i) => {
      const own = places.slice(i * share, (i + 1) * share);
      const size = own.reduce((sum, [, , rawBytes]) => sum + rawBytes, 0);
      const target = new Uint8Array(new SharedArrayBuffer(size));
      return new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
        worker.postMessage({ file: path.join(directory, 'blocks'), places: own, modules, target });
      });
    }),
  );
  const ms = performance.now() - startedAt;
  return sizes.reduce((sum, size) => sum + size, 0) / ms / 1000;
}
