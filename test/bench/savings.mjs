/*
 * What compression, shared chunks and merging save, on the state of the flights demo and on JSON
 * snapshots of an operator, 10 MB with 5 % changed between checkpoints. Nothing is estimated: sizes
 * are those of files that an engine wrote, or of chunks that were cut. Run by
 * `npm run measure -- savings`; TIDEMARK_EVENTS says how many of the three million flights (300,000).
 */
import fs from 'node:fs';
import path from 'node:path';
import { openEngine } from '../../dist/bundle/index.js';
import { codecTable } from './savings-codecs.mjs';
import {
  changeClustered,
  changeScattered,
  fillFlights,
  jsonOf,
  makeRecords,
  random,
} from './savings-data.mjs';
import { shapeTable } from './savings-shapes.mjs';

const MB = 1_000_000;
const percent = (part) => `${(100 * part).toFixed(1).padStart(5)} %`;
const mb = (bytes) => `${(bytes / MB).toFixed(2).padStart(8)} MB`;
const off = { checkpointing: false };

/** Prints all tables. */
export async function savings({ fresh, rounds }) {
  const events = Number(process.env.TIDEMARK_EVENTS ?? 300_000);
  const blocks = await compression({ fresh, rounds, events });
  await merging({ fresh, events });
  await operatorSnapshots(fresh);
  await largeBlob(fresh);
  await sameBlobs(fresh);
  shapeTable();
  return blocks;
}

async function flightsBase(dir, events, compression) {
  const engine = await openEngine({ dir, compression, ...off });
  await fillFlights(engine, events, Infinity);
  const record = await engine.checkpoint({ kind: 'base' });
  await engine.close();
  return record.chain[0];
}

async function compression({ fresh, rounds, events }) {
  const dir = fresh('flights-none');
  const raw = await flightsBase(dir, events, 'none');
  const flights = fs.readFileSync(path.join(dir, raw.name));
  const json = Buffer.from(jsonOf(makeRecords(10 * MB)));
  console.log(`Saved by compression: a base of ${events} flights, ${mb(raw.bytes)} raw`);
  for (const setting of ['lz4', 'snappy', 'zstd', 'gzip', 'brotli']) {
    const { bytes } = await flightsBase(fresh(`flights-${setting}`), events, setting);
    console.log(`  ${setting.padEnd(8)} ${mb(bytes)}   saves ${percent(1 - bytes / raw.bytes)}`);
  }
  console.log('  the field claims 60 to 80 %');
  codecTable('blocks of 64 KiB of that file', flights, rounds);
  codecTable('blocks of 64 KiB of the JSON of an operator', json, rounds);
}

async function merging({ fresh, events }) {
  const options = { ...off, maxChainLength: 1000 };
  const engine = await openEngine({ dir: fresh('merging'), ...options });
  await fillFlights(engine, events, Math.ceil(events / 10));
  await engine.checkpoint();
  const before = engine.stats();
  await engine.merge({ strategy: 'sequential' });
  const after = engine.stats();
  const [from, to] = [before.storage.storedBytes, after.storage.storedBytes];
  console.log(
    `\nSaved by merging: ${before.chainLength} snapshots of ${events} flights into one base`,
  );
  console.log(`  ${mb(from)} before, ${mb(to)} after: saves ${percent(1 - to / from)}`);
  console.log('  the field claims 20 to 40 %');
  await engine.close();
}

/** A blob of JSON that is dumped whole at every checkpoint, as operators do. */
async function operatorSnapshots(fresh) {
  console.log(
    '\nSaved by shared chunks: JSON of an operator, 10 MB, 5 % changed before each of 5 dumps',
  );
  const changes = {
    '5 % of the records, neighbours': changeClustered,
    '5 % of the records, anywhere': changeScattered,
  };
  for (const [name, change] of Object.entries(changes)) {
    for (const compression of ['none', 'lz4']) {
      const engine = await openEngine({ dir: fresh('operator'), compression, ...off });
      const blob = engine.operator('op').blob('dump');
      const records = makeRecords(10 * MB);
      const next = random(5);
      let dumped = 0;
      let written = 0;
      for (let dump = 0; dump < 6; dump++) {
        if (dump > 0) change(records, 0.05, next);
        const bytes = Buffer.from(jsonOf(records));
        blob.set('state', bytes);
        await engine.commit();
        const record = await engine.checkpoint();
        if (dump === 0) continue;
        dumped += bytes.length;
        written += record.chain.at(-1).bytes;
      }
      const saved = percent(1 - written / dumped);
      console.log(
        `  ${name}, ${compression.padEnd(4)}: ${mb(written)} of ${mb(dumped)}, saves ${saved}`,
      );
      await engine.close();
    }
  }
  console.log('  the field claims 10 to 30 %');
}

async function largeBlob(fresh) {
  console.log('\nA blob of 100 MB, 1 MB changed: bytes of the delta, without compression');
  const next = random(9);
  const bytes = Buffer.from(Uint8Array.from({ length: 100 * MB }, () => next() * 256));
  const places = [
    ['in one place', 1],
    ['in 4 places', 4],
    ['in 16 places', 16],
  ];
  const engine = await openEngine({ dir: fresh('large'), compression: 'none', ...off });
  const blob = engine.operator('op').blob('large');
  const dump = async () => {
    const startedAt = performance.now();
    blob.set('b', bytes);
    const setMs = performance.now() - startedAt;
    await engine.commit();
    return { bytes: (await engine.checkpoint()).chain.at(-1).bytes, setMs };
  };
  await dump();
  for (const [name, count] of places) {
    const part = MB / count;
    for (let place = 0; place < count; place++) {
      const at = Math.floor(next() * (bytes.length - part));
      for (let i = 0; i < part; i++) bytes[at + i] = next() * 256;
    }
    const delta = await dump();
    console.log(`  ${name.padEnd(13)} ${mb(delta.bytes)}   set took ${delta.setMs.toFixed(0)} ms`);
  }
  await engine.close();
}

async function sameBlobs(fresh) {
  const engine = await openEngine({ dir: fresh('same'), compression: 'none', ...off });
  const bytes = Buffer.from(jsonOf(makeRecords(10 * MB)));
  for (const name of ['a', 'b', 'c']) engine.operator(name).blob('dump').set('state', bytes);
  await engine.commit();
  await engine.checkpoint();
  const { logicalBytes, uniqueBytes, storedBytes } = engine.stats().storage;
  console.log('\nThe same 10 MB in three states, without compression');
  console.log(
    `  logical ${mb(logicalBytes)}, unique ${mb(uniqueBytes)}, stored ${mb(storedBytes)}`,
  );
  await engine.close();
}
