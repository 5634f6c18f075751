/*
 * Faults of the simulated file system: which calls they strike, what they leave, and what a failed
 * sync means for the disk.
 */
import { describe, expect, test } from 'vitest';
import { errnoOf } from '../../src/errors.ts';
import { SimulatedClock, SimulatedFileSystem, type Fault } from '../../src/testing/index.ts';

async function worldWith(...faults: Fault[]): Promise<SimulatedFileSystem> {
  const fs = new SimulatedFileSystem();
  await fs.makeDirectory('/d');
  for (const fault of faults) fs.inject(fault);
  return fs;
}

const codeOf = (action: Promise<unknown>): Promise<string | undefined> =>
  action.then(() => 'no error', errnoOf);

/** Codes of so many calls of `stat`. */
async function stats(fs: SimulatedFileSystem, calls: number, path = '/d'): Promise<string[]> {
  const codes: string[] = [];
  for (let n = 0; n < calls; n++) codes.push((await codeOf(fs.stat(path)))!);
  return codes;
}

const ok = 'no error';

describe('which calls a fault strikes', () => {
  test.each<[string, Fault, string[]]>([
    ['nth', { nth: 2, error: 'EIO' }, [ok, 'EIO', ok, ok]],
    ['from', { from: 3, error: 'EIO' }, [ok, ok, 'EIO', 'EIO']],
    ['every', { every: 2, error: 'EIO' }, [ok, 'EIO', ok, 'EIO']],
    ['times', { times: 1, error: 'EIO' }, ['EIO', ok, ok, ok]],
    ['probability 1', { probability: 1, error: 'EIO' }, ['EIO', 'EIO', 'EIO', 'EIO']],
    ['probability 0', { probability: 0, error: 'EIO' }, [ok, ok, ok, ok]],
    ['of another call', { call: 'write', error: 'EIO' }, [ok, ok, ok, ok]],
    ['of several calls', { call: ['stat', 'list'], error: 'EACCES' }, Array(4).fill('EACCES')],
    ['of another path', { path: /wal$/, error: 'EIO' }, [ok, ok, ok, ok]],
    ['of the path', { path: '/d', error: 'EMFILE' }, Array(4).fill('EMFILE')],
  ])('%s: as it says', async (_name, fault, expected) => {
    expect(await stats(await worldWith(fault), 4)).toEqual(expected);
  });

  test('a chance: the same calls for the same seed', async () => {
    const struck = async (seed: number): Promise<string[]> => {
      const fs = new SimulatedFileSystem({ seed, faults: [{ probability: 0.5, error: 'EIO' }] });
      return stats(fs, 40, '/');
    };
    expect(await struck(1)).toEqual(await struck(1));
    expect(new Set(await struck(1)).size).toBe(2);
    expect(await struck(1)).not.toEqual(await struck(2));
  });

  test('healed, by name or by its handle: strikes no more, and says how often it has', async () => {
    const fs = await worldWith({ name: 'full', error: 'ENOSPC' });
    const other = fs.inject({ call: 'list', error: 'EIO' });
    expect(await stats(fs, 2)).toEqual(['ENOSPC', 'ENOSPC']);
    fs.heal('full');
    expect(await codeOf(fs.list('/d'))).toBe('EIO');
    expect(other.struck).toBe(1);
    other.heal();
    expect(await codeOf(fs.list('/d'))).toBe(ok);
  });

  test('after a crash: none is left', async () => {
    const fs = new SimulatedFileSystem({ faults: [{ error: 'EIO' }] });
    expect(await stats(fs.crash('kept'), 1, '/')).toEqual([ok]);
  });

  test.each<[string, object]>([
    ['nothing to do', { call: 'write' }],
    ['an option that is none', { error: 'EIO', nht: 1 }],
    ['a call that is none', { call: 'fsync', error: 'EIO' }],
    ['the 0th call', { nth: 0, error: 'EIO' }],
    ['a chance above 1', { probability: 2, error: 'EIO' }],
    ['a pattern that remembers', { path: /a/g, error: 'EIO' }],
  ])('%s: refused', async (_what, fault) => {
    const fs = new SimulatedFileSystem();
    expect(() => fs.inject(fault as Fault)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }) as Error,
    );
  });

  test('a call that is none: the message names those there are', () => {
    const fault = { call: 'fsync', error: 'EIO' } as unknown as Fault;
    expect(() => new SimulatedFileSystem().inject(fault)).toThrow(/one of .*\bsync\b.*: "fsync"$/);
  });

  test('an option of the file system that is none: refused', () => {
    expect(() => new SimulatedFileSystem({ sede: 1 } as object)).toThrow(/sede/);
  });
});

describe('what a fault does', () => {
  test('an error: the call has done nothing; afterwards: it has done its work', async () => {
    const fs = await worldWith({ call: 'open', nth: 1, error: 'EACCES' });
    expect(await codeOf(fs.open('/d/a', 'create'))).toBe('EACCES');
    expect(await fs.list('/d')).toEqual([]);
    fs.inject({ call: 'rename', error: 'EIO', afterwards: true });
    await fs.open('/d/a', 'create');
    expect(await codeOf(fs.rename('/d/a', '/d/b'))).toBe('EIO');
    expect(await fs.list('/d')).toEqual(['b']);
  });

  test('a short write: the first bytes are there', async () => {
    const fs = await worldWith({ call: 'write', error: 'ENOSPC', bytes: 2 });
    const handle = await fs.open('/d/a', 'create');
    expect(await codeOf(handle.write(Uint8Array.of(1, 2, 3), 0))).toBe('ENOSPC');
    expect([...fs.contents().get('/d/a')!]).toEqual([1, 2]);
  });

  test('a short read: as if the file ended there', async () => {
    const fs = await worldWith({ call: 'read', nth: 1, bytes: 2 });
    const handle = await fs.open('/d/a', 'create');
    await handle.write(Uint8Array.of(1, 2, 3), 0);
    expect(await handle.read(new Uint8Array(3), 0)).toBe(2);
    expect(await handle.read(new Uint8Array(3), 0)).toBe(3);
  });

  test('a delay: the call is done when the clock has come so far', async () => {
    const clock = new SimulatedClock();
    const fs = new SimulatedFileSystem({ clock, faults: [{ call: 'stat', delayMs: 20 }] });
    let done = false;
    const call = fs.stat('/').then(() => (done = true));
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect([done, clock.timerCount]).toEqual([false, 1]);
    clock.advance(20);
    await call;
  });

  test('a callback: sees the call, and fails it by throwing', async () => {
    const seen: string[] = [];
    const fs = await worldWith({
      call: 'link',
      act: ({ path, from }) => {
        seen.push(`${from} ${path}`);
        throw Object.assign(new Error('no'), { code: 'EPERM' });
      },
    });
    await fs.open('/d/a', 'create');
    expect(await codeOf(fs.link('/d/a', '/d/b'))).toBe('EPERM');
    expect(seen).toEqual(['/d/a /d/b']);
  });

  test('free space: can fail too', async () => {
    const fs = await worldWith({ call: 'freeBytes', error: 'EIO' });
    expect(() => fs.freeBytes('/d')).toThrow(expect.objectContaining({ code: 'EIO' }) as Error);
  });

  test('a full disk: ENOSPC until there is space again', async () => {
    const fs = new SimulatedFileSystem({ capacityBytes: 10 });
    const handle = await fs.open('/a', 'create');
    await handle.write(new Uint8Array(8), 0);
    expect(await codeOf(handle.write(new Uint8Array(8), 8))).toBe('ENOSPC');
    fs.capacityBytes = 100;
    await handle.write(new Uint8Array(8), 8);
    expect(fs.freeBytes('/')).toBe(84);
    expect(fs.crash('kept').freeBytes('/')).toBe(84);
  });
});

describe('a sync that fails', () => {
  async function failed(pages?: 'clean' | 'dirty') {
    const fs = await worldWith();
    const handle = await fs.open('/d/a', 'create');
    await handle.write(Uint8Array.of(1, 1), 0);
    await handle.sync();
    await fs.syncDirectory('/d');
    await handle.write(Uint8Array.of(9), 0);
    fs.inject({ call: 'sync', times: 1, error: 'EIO', ...(pages && { pages }) });
    expect(await codeOf(handle.sync())).toBe('EIO');
    return { fs, handle };
  }
  const shown = (fs: SimulatedFileSystem): number[] => [...fs.contents().get('/d/a')!];

  test('a later sync succeeds: what the failed one was about is read, and is not on the disk', async () => {
    const { fs, handle } = await failed();
    await handle.sync();
    expect(shown(fs)).toEqual([9, 1]);
    expect(shown(fs.crash('dropped'))).toEqual([1, 1]);
    expect(shown(fs.crash('kept'))).toEqual([9, 1]);
  });

  test('what is written behind it: is durable by the next sync', async () => {
    const { fs, handle } = await failed();
    await handle.write(Uint8Array.of(8), 1);
    await handle.sync();
    expect(shown(fs.crash('dropped'))).toEqual([1, 8]);
    await handle.write(Uint8Array.of(7), 0);
    await handle.sync();
    expect(shown(fs.crash('dropped'))).toEqual([7, 8]);
  });

  test('the cache is dropped: what is read is what the disk has', async () => {
    const { fs, handle } = await failed();
    await handle.write(Uint8Array.of(8), 1);
    fs.dropCaches();
    expect(shown(fs)).toEqual([1, 8]);
    const read = new Uint8Array(2);
    await handle.read(read, 0);
    expect([...read]).toEqual([1, 8]);
    expect(shown(fs.crash('dropped'))).toEqual([1, 1]);
  });

  test('pages that stay dirty: a later sync makes up for it', async () => {
    const { fs, handle } = await failed('dirty');
    await handle.sync();
    expect(shown(fs.crash('dropped'))).toEqual([9, 1]);
  });

  test('of a directory: a later one makes up for it', async () => {
    const fs = await worldWith({ call: 'syncDirectory', times: 1, error: 'EIO' });
    await fs.open('/d/a', 'create');
    expect(await codeOf(fs.syncDirectory('/d'))).toBe('EIO');
    expect([...fs.crash('dropped').contents().keys()]).toEqual([]);
    await fs.syncDirectory('/d');
    expect([...fs.crash('dropped').contents().keys()]).toEqual(['/d/a']);
  });
});

describe('the order of calls', () => {
  async function orderOf(seed: number, order: 'given' | 'random'): Promise<string> {
    const fs = new SimulatedFileSystem({ seed, order });
    const done: number[] = [];
    await Promise.all(Array.from({ length: 8 }, (_, n) => fs.stat('/').then(() => done.push(n))));
    return done.join('');
  }

  test('given: as they were asked for', async () => {
    expect(await orderOf(1, 'given')).toBe('01234567');
  });

  test('random: another, and the same for the same seed', async () => {
    const first = await orderOf(1, 'random');
    expect(first).not.toBe('01234567');
    expect(await orderOf(1, 'random')).toBe(first);
    expect(await orderOf(2, 'random')).not.toBe(first);
  });

  test('turns beside calls: given: behind them; random: drawn with them', async () => {
    const turnOf = async (seed: number, order: 'given' | 'random'): Promise<number> => {
      const fs = new SimulatedFileSystem({ seed, order });
      const done: string[] = [];
      const turn = fs.turn().then(() => done.push('turn'));
      const calls = Array.from({ length: 4 }, () => fs.stat('/').then(() => done.push('call')));
      await Promise.all([turn, ...calls]);
      expect(fs.callCount).toBe(4);
      return done.indexOf('turn');
    };
    expect(await turnOf(1, 'given')).toBe(4);
    const seeds = Array.from({ length: 10 }, (_, n) => n);
    const places = await Promise.all(seeds.map((seed) => turnOf(seed, 'random')));
    expect(new Set(places).size).toBeGreaterThan(2);
    expect(await Promise.all(seeds.map((seed) => turnOf(seed, 'random')))).toEqual(places);
  });
});
