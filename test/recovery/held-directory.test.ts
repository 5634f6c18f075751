/*
 * The name of a directory that the user has made just before: what is promised of a store in it holds
 * for the name as well, which a power loss would else take with everything below it.
 */
import { describe, expect, test } from 'vitest';
import { forkWith } from '../../src/engine/fork-store.ts';
import { openEngineWith, type EngineComponents } from '../../src/engine/open-engine.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { holdDirectory } from '../../src/fs/hold-directory.ts';
import { systemFailure } from '../../src/errors.ts';
import { SimulatedFileSystem } from '../../src/testing/index.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { SeededRandom } from '../tools/seeded-random.ts';

const littleLog = { segmentBytesMax: 16_384, undurableBytesMax: 2048, keyGroups: 4 } as const;

function on(fs: SimulatedFileSystem): EngineComponents {
  return { fs, clock: new ManualClock(), random: new SeededRandom(1), threads: false };
}

async function commitIn(fs: SimulatedFileSystem, dir: string, value: string): Promise<void> {
  const engine = await openEngineWith({ dir, ...littleLog }, on(fs));
  engine.operator('op').value('v').set('k', value);
  await engine.commit();
  await engine.close();
}

async function valueIn(fs: SimulatedFileSystem, dir: string): Promise<unknown> {
  const engine = await openEngineWith({ dir, ...littleLog }, on(fs));
  const value = engine.operator('op').value('v').get('k');
  await engine.close();
  return value;
}

/** `/made/here/heir`, of which no name is on the disk yet. */
async function madeByTheUser(fs: SimulatedFileSystem): Promise<string> {
  await fs.makeDirectory('/before/here/heir');
  await fs.rename('/before', '/made');
  return '/made/here/heir';
}

describe('a directory whose name is in memory only', () => {
  test('a new store in it: what was committed is there after a power loss', async () => {
    const fs = new SimulatedFileSystem();
    const dir = await madeByTheUser(fs);
    await commitIn(fs, dir, 'mine');
    expect(await valueIn(fs.crash('dropped'), dir)).toBe('mine');
  });

  test.each([
    ['fork', forkWith],
    ['restore', restoreWith],
  ] as const)(
    'a %s in it that claims: one of the two is there after a power loss',
    async (_, make) => {
      const fs = new SimulatedFileSystem();
      await commitIn(fs, '/store', 'mine');
      const to = await madeByTheUser(fs);
      await make({ from: { dir: '/store' }, to, ownership: 'claim' }, on(fs));
      expect(await valueIn(fs.crash('dropped'), to)).toBe('mine');
    },
  );
});

describe('directories above one', () => {
  test('each up to the root; up to one that cannot be synced; not over an error', async () => {
    const synced: string[] = [];
    const fs = new SimulatedFileSystem();
    await fs.makeDirectory('/a/b/c');
    fs.beforeCall = ({ call, path }) => {
      if (call === 'syncDirectory') synced.push(path);
    };
    await holdDirectory(fs, '/a/b/c');
    expect(synced).toEqual(['/a/b', '/a', '/']);
    for (const [code, isOver] of [
      ['EACCES', true],
      ['EINVAL', true],
      ['EIO', false],
    ] as const) {
      fs.beforeCall = ({ call, path }) => {
        if (call !== 'syncDirectory' || path !== '/a') return;
        throw Object.assign(new Error(code), { code });
      };
      const held = holdDirectory(fs, '/a/b/c').catch((error: unknown) => systemFailure(error, 'x'));
      expect((await held) === undefined).toBe(isOver);
    }
  });
});
