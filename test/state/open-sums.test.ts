/*
 * What a transaction shows before it is sealed is what it commits.
 */
import { expect, test } from 'vitest';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { systemRandom } from '../../src/std/random.ts';
import { ManualClock } from '../tools/manual-clock.ts';

const fresh = () => ({
  fs: new MemoryFileSystem(),
  clock: new ManualClock(),
  random: systemRandom,
  threads: false,
});

test('two additions in one transaction, the first expires between them: one sum, before and after', async () => {
  const on = fresh();
  const engine = await openEngineWith({ dir: '/store' }, on);
  const counter = engine.operator('op').counter('c');
  counter.add('k', 5, { ttlMs: 2 });
  on.clock.advance(10);
  expect(counter.add('k', 3)).toBe(8);
  await engine.commit();
  expect(counter.get('k')).toBe(8);
  await engine.close();
  const again = await openEngineWith({ dir: '/store' }, on);
  expect(again.operator('op').counter('c').get('k')).toBe(8);
  await again.close();
});

test('a state asked for while a commit is encoded: it is logged later, and keeps its table', async () => {
  const on = fresh();
  class Name {
    readonly text: string;
    constructor(text: string) {
      this.text = text;
    }
  }
  const types = [
    {
      name: 'name',
      class: Name,
      encode: (value: Name): unknown => {
        engine.operator('aux').value('names').get('x');
        return value.text;
      },
      decode: (data: unknown): Name => new Name(String(data)),
    },
  ];
  const engine = await openEngineWith({ dir: '/store', types }, on);
  engine.operator('op').value('v').set('k', new Name('n'));
  await engine.commit();
  engine.operator('aux').value('names').set('x', 'precious');
  await engine.commit();
  await engine.close();
  const again = await openEngineWith({ dir: '/store', types }, on);
  expect([...again.operator('other').value('thing').keys()]).toEqual([]);
  expect(again.operator('aux').value('names').get('x')).toBe('precious');
  await again.close();
});

test('a blob set again with one byte changed: the memtable takes no copy of what did not change', async () => {
  const engine = await openEngineWith({ dir: '/store' }, fresh());
  const blob = engine.operator('op').blob('b');
  const bytes = new Uint8Array(2_000_000).map((_, i) => Math.imul(i, 2_654_435_761) >>> 24);
  blob.set('k', bytes);
  await engine.commit();
  await engine.checkpoint();
  await engine.checkpoint({ kind: 'base' });
  const same = (read: Uint8Array): boolean => Buffer.compare(read, bytes) === 0;
  bytes[1_000_000]! ^= 1;
  blob.set('k', bytes);
  blob.set('other', bytes);
  await engine.commit();
  expect(same(blob.get('k')!)).toBe(true);
  blob.delete('k');
  await engine.commit();
  expect(same(blob.get('other')!)).toBe(true);
  expect(engine.stats().memtableBytes).toBeLessThan(600_000);
  await engine.close();
});
