/*
 * Bytes that are saved, against what is claimed for such engines: compression of a base of flights,
 * shared chunks of a dump that changes a little, and merging a chain; and the bytes of a delta against
 * the bytes that changed. Sizes are those of files that an engine wrote.
 */
import { openEngine } from '../../../dist/bundle/index.js';
import {
  changeClustered,
  changeScattered,
  fillFlights,
  jsonOf,
  makeRecords,
  random,
} from '../savings-data.mjs';
import { inFresh } from './raw-sync.mjs';

const MB = 1_000_000;
const off = { checkpointing: false };

export async function benchmark({ quick, directory }) {
  const events = quick ? 30_000 : 300_000;
  const dumpBytes = (quick ? 2 : 10) * MB;
  const base = (compression) =>
    inFresh(directory, async (dir) => {
      const engine = await openEngine({ dir, compression, ...off });
      await fillFlights(engine, events, Infinity);
      const record = await engine.checkpoint({ kind: 'base' });
      await engine.close();
      return record.chain[0].bytes;
    });
  const raw = await base('none');
  const saved = (name, run, published) => ({ name, unit: '%', run, published });
  const compressed = (codec) =>
    saved(
      `saved by ${codec}, a base of ${events.toLocaleString('en')} flights`,
      async () => 100 * (1 - (await base(codec)) / raw),
      {
        text: '60–80 %',
        source: 'compression',
      },
    );
  const shared = (name, change) =>
    saved(
      `saved by shared chunks, ${name}`,
      () => inFresh(directory, (dir) => dumps(dir, dumpBytes, change)),
      {
        text: '10–30 %',
        source: 'deduplication',
      },
    );
  return {
    title: 'Bytes that are saved',
    // Sizes are the same in every round.
    rounds: 1,
    warmup: 0,
    cases: [
      compressed('lz4'),
      compressed('zstd'),
      compressed('gzip'),
      shared('5 % of the records changed, neighbours', changeClustered),
      shared('5 % of the records changed, anywhere', changeScattered),
      saved(
        'saved by merging a chain of 10 into a base',
        () => inFresh(directory, (dir) => merged(dir, events)),
        {
          text: '20–40 %',
          source: 'chain',
        },
      ),
      ...[1, 10].map((times) => ({
        name: `delta of 1000 entries in a state of ${(times * 10_000).toLocaleString('en')}`,
        unit: 'bytes',
        better: 'less',
        run: () => inFresh(directory, (dir) => deltaBytes(dir, times * 10_000)),
      })),
    ],
  };
}

/** A blob of JSON that is dumped whole at every checkpoint, as operators do: the part that was saved. */
async function dumps(dir, bytes, change) {
  const engine = await openEngine({ dir, compression: 'none', ...off });
  const blob = engine.operator('op').blob('dump');
  const records = makeRecords(bytes);
  const next = random(5);
  let dumped = 0;
  let written = 0;
  for (let dump = 0; dump < 4; dump++) {
    if (dump > 0) change(records, 0.05, next);
    const content = Buffer.from(jsonOf(records));
    blob.set('state', content);
    await engine.commit();
    const record = await engine.checkpoint();
    if (dump === 0) continue;
    dumped += content.length;
    written += record.chain.at(-1).bytes;
  }
  await engine.close();
  return 100 * (1 - written / dumped);
}

async function merged(dir, events) {
  const engine = await openEngine({ dir, ...off, maxChainLength: 1000 });
  await fillFlights(engine, events, Math.ceil(events / 10));
  await engine.checkpoint();
  const before = engine.stats().storage.storedBytes;
  await engine.merge({ strategy: 'sequential' });
  const after = engine.stats().storage.storedBytes;
  await engine.close();
  return 100 * (1 - after / before);
}

async function deltaBytes(dir, entries) {
  const engine = await openEngine({ dir, ...off });
  const state = engine.operator('op').value('state');
  const next = random(3);
  for (let i = 0; i < entries; i++) state.set(i, { count: i, sum: next() });
  await engine.commit();
  await engine.checkpoint();
  for (let i = 0; i < 1000; i++)
    state.set(Math.floor((i * entries) / 1000), { count: -i, sum: next() });
  await engine.commit();
  const record = await engine.checkpoint();
  await engine.close();
  return record.chain.at(-1).bytes;
}
