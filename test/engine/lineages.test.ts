/*
 * Two engines that go on from one base, and what joining their deltas makes of every kind of state:
 * operands, lists, blobs with shared chunks, clears, positions.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  mergeLineagesWith,
  type JoinedSnapshot,
} from '../../src/checkpoint/library/snapshot-lineages.ts';
import type { ConflictPolicy } from '../../src/checkpoint/library/snapshot-conflicts.ts';
import type { SnapshotEntry } from '../../src/checkpoint/library/snapshot-entries.ts';
import type { Engine } from '../../src/engine/index.ts';
import { Library } from '../checkpoint/library/snapshot-fixture.ts';
import type { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { open, worldOn } from './engine-fixture.ts';

/** A chunk's worth of bytes that do not compress into others'. */
function noise(seed: number, bytes = 200_000): Uint8Array {
  const made = new Uint8Array(bytes);
  new SeededRandom(seed).fill(made);
  return made;
}

type Write = (engine: Engine) => void;

/** Opens a store at a time, writes, takes a checkpoint, and gives the newest snapshot. */
async function writeStore(fs: FaultyFileSystem, atMs: number, write: Write): Promise<Uint8Array> {
  const clock = new ManualClock();
  clock.advance(atMs);
  const engine = await open(worldOn(fs, clock), { checkpointing: false });
  write(engine);
  await engine.commit({ positions: { source: atMs } });
  await engine.checkpoint();
  await engine.close();
  const names = await fs.list('/store/snapshots');
  const newest = names.reduce((a, b) => (a.slice(-10) > b.slice(-10) ? a : b));
  return fs.read(`/store/snapshots/${newest}`);
}

class Joined extends Library {
  #count = 0;

  async put(path: string, bytes: Uint8Array): Promise<void> {
    const handle = await this.fs.open(path, 'create');
    await handle.write(bytes, 0);
    await handle.close();
  }

  async join(
    conflicts: ConflictPolicy,
    lineages: readonly (readonly string[])[] = [['/a'], ['/b']],
  ): Promise<{ made: JoinedSnapshot; states: Map<string, SnapshotEntry[]> }> {
    const output = `/joined-${++this.#count}`;
    const options = { output, conflicts, storeId: 'ee'.repeat(16) };
    const made = await mergeLineagesWith('/base', lineages, options, this);
    const snapshot = await this.open(output);
    expect((await snapshot.verify()).faults).toEqual([]);
    await snapshot.close();
    const states = new Map<string, SnapshotEntry[]>();
    for (const entry of await this.entries(output)) {
      const name = String(entry.state);
      states.set(name, [...(states.get(name) ?? []), entry]);
    }
    return { made, states };
  }
}

const values = (entries: readonly SnapshotEntry[] | undefined): Map<unknown, unknown> =>
  new Map((entries ?? []).map(({ key, subKey, value }) => [subKey ?? key, value]));

async function lineagesOf(base: Write, a: Write, b: Write): Promise<Joined> {
  const world = worldOn();
  const library = new Joined();
  await library.put('/base', await writeStore(world.fs, 1000, base));
  await library.put('/a', await writeStore(await world.fs.crash('kept'), 2000, a));
  await library.put('/b', await writeStore(await world.fs.crash('kept'), 3000, b));
  return library;
}

describe('operands', () => {
  let library: Joined;
  beforeAll(async () => {
    const of = (engine: Engine): ReturnType<Engine['operator']> => engine.operator('o');
    library = await lineagesOf(
      (engine) => {
        of(engine).counter('n').add('both', 100);
        of(engine).counter('n').add('replaced', 100);
        of(engine).min('low').update('k', 50);
        of(engine).value('doc').set('k', { keep: 1, a: 1, b: 1 });
      },
      (engine) => {
        of(engine).counter('n').add('both', 1);
        of(engine).counter('n').delete('replaced');
        of(engine).counter('n').add('new', 5);
        of(engine).min('low').update('k', 40);
        of(engine).value('doc').patch('k', { a: 'a' });
      },
      (engine) => {
        of(engine).counter('n').add('both', -20);
        of(engine).counter('n').add('replaced', 3);
        of(engine).counter('n').add('new', 6);
        of(engine).min('low').update('k', 30);
        of(engine).value('doc').patch('k', { b: null });
      },
    );
  });

  test('of one operator: combined over the base, no conflict', async () => {
    const { made, states } = await library.join('last-write-wins');
    expect(values(states.get('n')).get('both')).toBe(81);
    expect(values(states.get('n')).get('new')).toBe(11);
    expect(values(states.get('low'))).toEqual(new Map([['k', 30]]));
    expect(values(states.get('doc'))).toEqual(new Map([['k', { keep: 1, a: 'a' }]]));
    expect(made.conflicts.tables).not.toHaveProperty('o.low');
    expect(made.conflicts.tables).not.toHaveProperty('o.doc');
  });

  test('against a delete of another: a conflict of what each would have made', async () => {
    const last = await library.join('last-write-wins');
    expect(values(last.states.get('n')).get('replaced')).toBe(103);
    const first = await library.join('first-write-wins');
    expect(values(first.states.get('n')).has('replaced')).toBe(false);
    const listed = last.made.conflicts.listed.filter(({ table }) => table === 'o.n');
    expect(listed).toMatchObject([{ key: 'replaced', reason: 'operand', chosen: 1 }]);
  });

  test('a function may give the counter a number', async () => {
    const { states } = await library.join(({ key, candidates }) =>
      key === 'replaced' ? { value: Number(candidates[1]?.value) + 1000 } : 0,
    );
    expect(values(states.get('n')).get('replaced')).toBe(1103);
    await expect(
      library.join(({ key }) => (key === 'replaced' ? { value: 'text' } : 0)),
    ).rejects.toMatchObject({ code: 'INVALID_VALUE', details: { table: 'o.n', key: 'replaced' } });
  });

  test('positions: decided like keys', async () => {
    const last = await library.join('last-write-wins');
    expect((await library.open(last.made.path)).positions).toEqual({ source: 3000 });
    expect(last.made.conflicts.tables).toMatchObject({ positions: 1 });
    const first = await library.join('first-write-wins');
    expect((await library.open(first.made.path)).positions).toEqual({ source: 2000 });
  });
});

describe('lists and clears', () => {
  test('items of all lineages are kept, in the order of their LSNs; the order given does not matter', async () => {
    const append = (...items: string[]): Write => {
      return (engine) => {
        for (const item of items) engine.operator('o').list('l').append('k', item);
      };
    };
    const library = await lineagesOf(append('base'), append('a1', 'a2'), append('b1'));
    const { made, states } = await library.join('last-write-wins');
    const items = states.get('l')!.map(({ value }) => value);
    expect(items).toHaveLength(4);
    expect(items[0]).toBe('base');
    expect(items.indexOf('a2')).toBe(items.indexOf('a1') + 1);
    expect(items).toContain('b1');
    expect(made.conflicts.tables).not.toHaveProperty('o.l');
    const again = await library.join('last-write-wins', [['/b'], ['/a']]);
    expect(await library.bytes(again.made.path)).toEqual(await library.bytes(made.path));
  });

  test('a bounded list: the newest of all lineages', async () => {
    const append = (...items: string[]): Write => {
      return (engine) => {
        const list = engine.operator('o').list('l', { itemsMax: 2 });
        for (const item of items) list.append('k', item);
      };
    };
    const library = await lineagesOf(append('x', 'y'), append('a1', 'a2'), append('b1'));
    const { states } = await library.join('last-write-wins');
    expect(states.get('l')).toHaveLength(2);
  });

  test('a clear and a write of another lineage: the policy decides, key by key', async () => {
    const set = (engine: Engine, subKey: string, value: number): void =>
      engine.operator('o').map<string, number>('m').set('k', subKey, value);
    const library = await lineagesOf(
      (engine) => {
        set(engine, 'old', 0);
        set(engine, 'kept', 0);
        engine.operator('o').value('v').set('x', 0);
      },
      (engine) => {
        engine.operator('o').map('m').clear('k');
        set(engine, 'after', 1);
        engine.operator('o').value('v').delete('x');
      },
      (engine) => {
        set(engine, 'kept', 2);
        set(engine, 'new', 2);
        engine.operator('o').value('v').set('y', 2);
      },
    );
    const last = await library.join('last-write-wins');
    expect(values(last.states.get('m'))).toEqual(
      new Map([
        ['after', 1],
        ['kept', 2],
        ['new', 2],
      ]),
    );
    expect(values(last.states.get('v'))).toEqual(new Map([['y', 2]]));
    const first = await library.join('first-write-wins');
    expect(values(first.states.get('m'))).toEqual(new Map([['after', 1]]));
    const reasons = first.made.conflicts.listed.filter(({ table }) => table === 'o.m');
    expect(reasons.map(({ subKey, reason }) => `${String(subKey)}: ${reason}`).toSorted()).toEqual([
      'kept: clear',
      'new: clear',
    ]);
  });
});

describe('blobs', () => {
  const setBlob = (engine: Engine, key: string, bytes: Uint8Array): void =>
    engine.operator('o').blob('b').set(key, bytes);

  test('both delete one of two blobs with the same chunks: the other keeps them', async () => {
    const shared = noise(1);
    const drop: Write = (engine) => engine.operator('o').blob('b').delete('one');
    const library = await lineagesOf(
      (engine) => {
        setBlob(engine, 'one', shared);
        setBlob(engine, 'two', shared);
      },
      drop,
      drop,
    );
    const { made, states } = await library.join('last-write-wins');
    expect(made.conflicts.tables).not.toHaveProperty('o.b');
    expect(values(states.get('b'))).toEqual(new Map([['two', shared]]));
  });

  test('each puts another: the chunks of the one that is not chosen go, those of others stay', async () => {
    const [old, mine, yours, more] = [noise(1), noise(2), noise(3), noise(4)];
    const library = await lineagesOf(
      (engine) => setBlob(engine, 'k', old),
      (engine) => {
        setBlob(engine, 'k', mine);
        setBlob(engine, 'mine too', more);
      },
      (engine) => setBlob(engine, 'k', yours),
    );
    let asked = 0;
    const { made, states } = await library.join(({ candidates, table }) => {
      if (table === 'o.b') asked++;
      return candidates.length - 1;
    });
    const chosen = made.conflicts.listed.find(({ table }) => table === 'o.b')?.chosen;
    expect(chosen).toBe(1);
    expect(asked).toBe(1);
    const kept = values(states.get('b'));
    expect(kept.get('mine too')).toEqual(more);
    expect([mine, yours]).toContainEqual(kept.get('k'));
    const chunks = async (write: Write): Promise<number> => {
      const bytes = await writeStore(worldOn().fs, 1000, write);
      const path = `/alone-${bytes.length}`;
      await library.put(path, bytes);
      return (await library.open(path)).metadata.chunks.entryCount;
    };
    const expected = await chunks((engine) => {
      for (const [key, value] of kept) setBlob(engine, String(key), value as Uint8Array);
    });
    expect(made.chunks.entryCount).toBe(expected);
    await expect(library.join(() => ({ value: mine }))).rejects.toMatchObject({
      code: 'INVALID_VALUE',
    });
  });
});
