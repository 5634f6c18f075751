/*
 * An engine whose log is compressed: the state, the checkpoints and what readers see are those of one
 * whose log is not.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeSealedJson } from '../../src/codec/sealed-json.ts';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { codeOf, open, small, worldOn, type World } from './engine-fixture.ts';

const compressed: Partial<EngineOptions> = { logCompression: { codec: 'lz4', bytesMin: 64 } };

type Step = readonly [
  kind: 'put' | 'append' | 'add' | 'delete' | 'checkpoint' | 'reopen',
  n: number,
];

async function apply(engine: Engine, [kind, n]: Step): Promise<void> {
  const operator = engine.operator('op');
  const values = operator.value<string>('v');
  if (kind === 'put') values.set(`k${n % 7}`, 'text '.repeat(n));
  if (kind === 'delete') values.delete(`k${n % 7}`);
  if (kind === 'append')
    operator.list<string>('l', { itemsMax: 5 }).append('l', `item ${n}`.repeat(n));
  if (kind === 'add') operator.counter('c').add(`c${n % 3}`, n);
  if (kind === 'checkpoint') await engine.checkpoint();
  else await engine.commit({ positions: { source: n }, metadata: { kind } });
}

/** Everything that a user, a reader and a checkpoint show. */
async function shown(world: World): Promise<unknown> {
  const reader = await openReaderWith({ dir: '/store' }, world);
  const entries = [...reader.entries()];
  const commits = [];
  for await (const commit of reader.commits()) commits.push(commit);
  await reader.close();
  const chains = [];
  for (const [path, bytes] of await world.fs.contents()) {
    if (!/checkpoints\/.*json$/.test(path)) continue;
    const body = decodeSealedJson(bytes) as { position: { lsn: number; chain: string } };
    chains.push([body.position.lsn, body.position.chain]);
  }
  const { faults } = await verifyStoreWith({ dir: '/store' }, world);
  return { entries, commits, chains, faults };
}

describe('logCompression of an engine', () => {
  test('any commits, checkpoints and openings: the same state, commits and chain values', async () => {
    const step = fc.tuple(
      fc.constantFrom('put', 'put', 'append', 'add', 'delete', 'checkpoint', 'reopen'),
      fc.integer({ min: 1, max: 60 }),
    ) as fc.Arbitrary<Step>;
    const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const results: unknown[] = [];
      for (const options of [{}, compressed]) {
        const world = worldOn();
        const settings = { ...options, segmentBytesMax: 8192, checkpointing: false } as const;
        let engine = await open(world, settings);
        for (const action of steps) {
          if (action[0] === 'reopen') {
            await engine.close();
            engine = await open(world, settings);
          } else await apply(engine, action);
        }
        await engine.close();
        results.push(await shown(world));
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[0]).toMatchObject({ faults: [] });
    });
    await fc.assert(property, { seed: 3, numRuns: 25 });
  });

  test('on: fewer bytes, told by stats; off: none saved', async () => {
    const bytes: number[] = [];
    for (const options of [{}, compressed]) {
      const world = worldOn();
      const engine = await open(world, { ...options, checkpointing: false });
      for (let n = 1; n <= 40; n++) await apply(engine, ['put', n]);
      const { log } = engine.stats();
      expect(log.savedBytes > 1000).toBe(options === compressed);
      bytes.push(log.bytes);
      await engine.close();
    }
    expect(bytes[1]).toBeLessThan(bytes[0]! * 0.7);
  });

  test('a codec that there is not: INVALID_OPTION', async () => {
    const wrong = { ...small, logCompression: 'zip' };
    expect(await codeOf(open(worldOn(), wrong))).toBe('INVALID_OPTION');
  });
});
