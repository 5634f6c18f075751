/*
 * The file of the library appears whole or not at all: power is cut before every call that changes
 * something, with what was not synced dropped, kept, or kept in part.
 */
import { expect, test } from 'vitest';
import { changes, FaultyFileSystem, type CrashChoice } from '../../tools/faulty-file-system.ts';
import { SeededRandom } from '../../tools/seeded-random.ts';
import { Library } from './snapshot-fixture.ts';

async function makeFile(library: Library): Promise<void> {
  const file = await library.create('/d/a', { memoryBytesMax: 64 * 1024 });
  for (let i = 0; i < 900; i++) await file.write('t', i, 'x'.repeat(100));
  await file.finish();
}

const choices: readonly [string, (cut: number) => CrashChoice][] = [
  ['dropped', () => 'dropped'],
  ['kept', () => 'kept'],
  ['torn', (cut) => new SeededRandom(cut)],
];

test.each(choices)(
  'power lost at any call, the rest %s: a sound file or none',
  async (_, choice) => {
    const counted = new FaultyFileSystem();
    await counted.makeDirectory('/d');
    await makeFile(new Library(counted));
    const total = counted.calls.filter(changes).length - 1;
    expect(total).toBeGreaterThan(10);
    let whole = 0;
    for (let cut = 1; cut <= total; cut++) {
      const fs = new FaultyFileSystem();
      await fs.makeDirectory('/d');
      const seen: { after: FaultyFileSystem } = { after: fs };
      let count = 0;
      fs.before = async (call) => {
        if (!changes(call) || ++count !== cut) return;
        seen.after = await fs.crash(choice(cut));
      };
      await makeFile(new Library(fs));
      const after = new Library(seen.after);
      const names = await after.fs.list('/d');
      if (!names.includes('a')) continue;
      whole++;
      const snapshot = await after.open('/d/a');
      expect((await snapshot.verify()).faults).toEqual([]);
      expect(snapshot.metadata.entryCount).toBe(900);
      await snapshot.close();
    }
    // Without a directory sync nothing promises the name, but the file is complete by then.
    expect(whole).toBeGreaterThan(0);
  },
);

test('finish has resolved: the file survives whatever the power loss drops', async () => {
  const fs = new FaultyFileSystem();
  await fs.makeDirectory('/d');
  await makeFile(new Library(fs));
  const after = new Library(await fs.crash('dropped'));
  expect(await after.entries('/d/a')).toHaveLength(900);
});

test('a call of the file system fails: the error is told, and nothing stays', async () => {
  const counted = new FaultyFileSystem();
  await counted.makeDirectory('/d');
  await makeFile(new Library(counted));
  const names = ['write', 'sync', 'link'] as const;
  for (const name of names) {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/d');
    fs.before = ({ call }) => {
      if (call === name) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    await expect(makeFile(new Library(fs))).rejects.toMatchObject({ code: 'NO_SPACE' });
    fs.before = () => {};
    expect(await fs.list('/d')).toEqual([]);
  }
});
