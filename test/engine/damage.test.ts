/*
 * A store that was damaged: what is refused and how, and that a refused opening changes nothing.
 */
import { describe, expect, test } from 'vitest';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import {
  digests,
  errorOf,
  onlyPath,
  open,
  pathsIn,
  worldOn,
  type World,
} from './engine-fixture.ts';

/** A closed store: one base, and a commit behind it in the log. */
async function closedStore(): Promise<World> {
  const world = worldOn();
  const engine = await open(world, { compression: 'none' });
  engine.operator('op').value('v').set('k', 'value');
  engine.operator('op').list('l', { itemsMax: 2 }).append('k', 1);
  engine.operator('op').map('m').clear('k');
  engine
    .operator('op')
    .blob('b')
    .set('k', new Uint8Array([1]));
  await engine.commit({ positions: { s: 1 } });
  await engine.checkpoint();
  engine.operator('op').value('v').set('k', 'later');
  await engine.commit();
  await engine.close();
  return world;
}

/** The same with a log that does not lead past its first commit: the checkpoint is the only way. */
async function closedWithoutLog(): Promise<World> {
  const world = await closedStore();
  const [path] = await pathsIn(world.fs, 'wal');
  const bytes = await world.fs.read(path!);
  await world.fs.put(path!, flipped(Buffer.from(bytes).indexOf('value'))(bytes.slice()));
  return world;
}

/** Opening is refused with one of the codes, and not a byte is another afterwards. */
async function refused(world: World, codes: readonly string[]): Promise<string> {
  const before = await digests(world.fs);
  const error = await errorOf(open(world));
  expect(codes).toContain(error.code);
  expect(await digests(world.fs)).toEqual(before);
  // It is not locked either: a second attempt finds the same.
  expect((await errorOf(open(world))).code).toBe(error.code);
  return error.code;
}

async function patched(
  world: World,
  path: string,
  patch: (bytes: Uint8Array) => Uint8Array,
  act: () => Promise<void>,
): Promise<void> {
  const whole = await world.fs.read(path);
  await world.fs.put(path, patch(whole.slice()));
  await act();
  await world.fs.put(path, whole);
}

const flipped =
  (offset: number) =>
  (bytes: Uint8Array): Uint8Array => {
    bytes[offset]! ^= 0x20;
    return bytes;
  };

/** The same document with a field changed and a sound checksum. */
const edited =
  (edit: (body: Record<string, unknown>) => void) =>
  (bytes: Uint8Array): Uint8Array => {
    const body = decodeSealedJson(bytes) as Record<string, unknown>;
    edit(body);
    return encodeSealedJson(body);
  };

describe('a flipped byte', () => {
  test.each([
    ['the snapshot', 'snapshots', ['CORRUPT_SNAPSHOT', 'UNSUPPORTED_FORMAT']],
    ['the record', 'checkpoints', ['CORRUPT_RECORD']],
  ])(
    'anywhere in %s: typed, nothing changed',
    async (_, directory, codes) => {
      const world = await closedWithoutLog();
      const path = await onlyPath(world.fs, directory);
      const { length } = await world.fs.read(path);
      for (let offset = 0; offset < length; offset++) {
        await patched(world, path, flipped(offset), async () => {
          const before = offset % 50 === 0 ? await digests(world.fs) : undefined;
          const code = await open(world, { prefetch: 'aggressive' }).then(
            () => 'opened',
            (error: { code: string }) => error.code,
          );
          expect([offset, code, codes.includes(code)]).toEqual([offset, code, true]);
          if (before) expect(await digests(world.fs)).toEqual(before);
        });
      }
      await (await open(world)).close();
    },
    180_000,
  );

  test('anywhere in store.json: CORRUPT_STORE', async () => {
    const world = await closedStore();
    const path = '/store/store.json';
    const { length } = await world.fs.read(path);
    for (let offset = 0; offset < length; offset++) {
      await patched(world, path, flipped(offset), async () => {
        expect([offset, (await errorOf(open(world))).code]).toEqual([offset, 'CORRUPT_STORE']);
      });
    }
    await (await open(world)).close();
  });

  test('in the log behind the checkpoint, where it is proved: CORRUPT_FRAME, nothing changed', async () => {
    const world = await closedStore();
    const path = (await pathsIn(world.fs, 'wal')).at(-1)!;
    const bytes = await world.fs.read(path);
    const at = Buffer.from(bytes).indexOf('later');
    expect(at).toBeGreaterThan(0);
    await patched(world, path, flipped(at), async () => {
      await refused(world, ['CORRUPT_FRAME']);
    });
    const engine = await open(world);
    expect(engine.operator('op').value('v').get('k')).toBe('later');
    await engine.close();
  });

  test('in the log below the checkpoint: it opens (L8)', async () => {
    const world = await closedStore();
    const path = (await pathsIn(world.fs, 'wal')).at(-1)!;
    const at = Buffer.from(await world.fs.read(path)).indexOf('value');
    await patched(world, path, flipped(at), async () => {
      const copy = await world.fs.crash('kept');
      const engine = await open(worldOn(copy, world.clock, 9));
      expect(engine.operator('op').value('v').get('k')).toBe('later');
      await engine.close();
    });
  });
});

describe('a file that is cut short or missing', () => {
  test('a snapshot, a record or store.json, cut anywhere: typed, nothing changed', async () => {
    const world = await closedWithoutLog();
    const cases: [string, string[]][] = [
      [await onlyPath(world.fs, 'snapshots'), ['CORRUPT_SNAPSHOT']],
      [await onlyPath(world.fs, 'checkpoints'), ['CORRUPT_RECORD']],
      ['/store/store.json', ['CORRUPT_STORE']],
    ];
    for (const [path, codes] of cases) {
      const { length } = await world.fs.read(path);
      for (const left of [0, 1, Math.floor(length / 2), length - 1]) {
        const cut = (bytes: Uint8Array): Uint8Array => bytes.slice(0, left);
        await patched(world, path, cut, async () => {
          await refused(world, codes);
        });
      }
      const longer = (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes, new Uint8Array(8)]);
      await patched(world, path, longer, async () => {
        await refused(world, codes);
      });
    }
  });

  test('a snapshot is missing: BROKEN_CHAIN; store.json: CORRUPT_STORE; a segment: LOG_HOLE', async () => {
    for (const [directory, code] of [
      ['snapshots', 'BROKEN_CHAIN'],
      ['store.json', 'CORRUPT_STORE'],
    ]) {
      const world = await closedWithoutLog();
      const path =
        directory === 'store.json' ? '/store/store.json' : await onlyPath(world.fs, directory!);
      await world.fs.remove(path);
      await refused(world, [code!]);
    }
    const world = await closedStore();
    await (await open(world)).close();
    const [, newest] = [...(await pathsIn(world.fs, 'wal'))];
    await world.fs.remove(newest!);
    await refused(world, ['LOG_HOLE']);
  });

  test('the whole log is gone: the state of the checkpoint, reported, and what follows is kept', async () => {
    const world = await closedStore();
    for (const path of await pathsIn(world.fs, 'wal')) await world.fs.remove(path);
    let engine = await open(world);
    const codes: string[] = [];
    engine.on('warning', ({ code }) => codes.push(code));
    expect(engine.recovery).toMatchObject({ damagedHistory: true, lsn: 1 });
    expect(engine.operator('op').value('v').get('k')).toBe('value');
    engine.operator('op').value('v').set('k', 'new');
    expect((await engine.commit()).lsn).toBe(2);
    expect(codes).toEqual(['DAMAGED_HISTORY']);
    await engine.close();
    engine = await open(world);
    expect(engine.operator('op').value('v').get('k')).toBe('new');
    expect((await engine.checkpoint()).lsn).toBe(2);
    await engine.close();
    engine = await open(world);
    expect(engine.operator('op').value('v').get('k')).toBe('new');
    await engine.close();
  });

  test('a torn end of the log: cut, reported and warned of', async () => {
    const world = await closedStore();
    const running = await open(world);
    running.operator('op').value('v').set('k', 'torn');
    await running.commit();
    const path = (await pathsIn(world.fs, 'wal')).find((name) => name.endsWith('02-00000001.wal'))!;
    const fs = await world.fs.crash('kept');
    const at = Buffer.from(await fs.read(path)).indexOf('torn');
    await fs.put(path, flipped(at)(await fs.read(path)));
    const engine = await open(worldOn(fs, world.clock, 9));
    expect(engine.recovery.tornTail).toMatchObject({ path, lsn: 3 });
    expect(engine.operator('op').value('v').get('k')).toBe('later');
    const warnings: unknown[] = [];
    await new Promise<void>((resolve) => {
      engine.on('warning', (warning) => {
        warnings.push(warning);
        resolve();
      });
    });
    expect(warnings).toMatchObject([{ code: 'TORN_TAIL', details: { lsn: 3 } }]);
    await engine.close();
    await running.close();
  });
});

describe('a newer format version', () => {
  test('of store.json or of a record: UNSUPPORTED_FORMAT, nothing changed', async () => {
    const world = await closedWithoutLog();
    const newer = edited((body) => {
      body['format'] = 2;
    });
    for (const path of ['/store/store.json', await onlyPath(world.fs, 'checkpoints')]) {
      await patched(world, path, newer, async () => {
        await refused(world, ['UNSUPPORTED_FORMAT']);
      });
    }
  });

  test('records that contradict themselves under a sound checksum: typed, nothing changed', async () => {
    const world = await closedWithoutLog();
    const path = await onlyPath(world.fs, 'checkpoints');
    const chainOf = (body: Record<string, unknown>): Record<string, unknown>[] =>
      body['chain'] as Record<string, unknown>[];
    const edits: [(body: Record<string, unknown>) => void, string][] = [
      [(body) => (body['id'] = 9), 'CORRUPT_RECORD'],
      [(body) => delete body['lsn'], 'CORRUPT_RECORD'],
      [(body) => (body['lsn'] = -1), 'CORRUPT_RECORD'],
      [(body) => (body['lsn'] = '1'), 'CORRUPT_RECORD'],
      [(body) => (body['kind'] = 'full'), 'CORRUPT_RECORD'],
      [(body) => (body['position'] = null), 'CORRUPT_RECORD'],
      [(body) => (body['chain'] = {}), 'CORRUPT_RECORD'],
      [(body) => (body['tables'] = [{}]), 'CORRUPT_RECORD'],
      [(body) => delete body['format'], 'CORRUPT_RECORD'],
      [(body) => (body['storeId'] = '0'.repeat(32)), 'STORE_MISMATCH'],
      [(body) => (chainOf(body)[0]!['kind'] = 'delta'), 'BROKEN_CHAIN'],
      [(body) => (chainOf(body)[0]!['kind'] = 'other'), 'CORRUPT_RECORD'],
      [(body) => (chainOf(body)[0]!['lastLsn'] = 7), 'BROKEN_CHAIN'],
      [(body) => (chainOf(body)[0]!['bytes'] = 7), 'CORRUPT_SNAPSHOT'],
      [(body) => (body['chain'] = []), 'BROKEN_CHAIN'],
      [(body) => (body['keyGroups'] = 8), 'BROKEN_CHAIN'],
      [(body) => (body['lsn'] = 2), 'BROKEN_CHAIN'],
      [(body) => (chainOf(body)[0]!['lastTimestamp'] = 2), 'BROKEN_CHAIN'],
    ];
    for (const [edit, code] of edits) {
      await patched(world, path, edited(edit), async () => {
        const found = await open(world).then(
          () => 'opened',
          (error: { code: string }) => error.code,
        );
        expect([edit.toString(), found]).toEqual([edit.toString(), code]);
        await refused(world, [code]);
      });
    }
    await (await open(world)).close();
  });
});
