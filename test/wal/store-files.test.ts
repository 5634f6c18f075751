import { describe, expect, test } from 'vitest';
import { decodeSealedJson, encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { createIdentity, identityName, readIdentity } from '../../src/wal/identity.ts';
import { readLowWater, writeLowWater } from '../../src/wal/low-water.ts';
import { FaultyFileSystem, injected } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { checksum } from '../../src/codec/checksum.ts';
import { bytesOf, codeOf, crashed, errorOf, open, worldOn } from './log-fixture.ts';

const sealed = (text: string): Uint8Array => {
  const crc = checksum(bytesOf(text)).toString(16).padStart(8, '0');
  return bytesOf(`{"body":${text},"crc32":"${crc}"}\n`);
};

describe('a sealed document', () => {
  test('what was encoded: decoded; any byte flipped or cut: refused', () => {
    const bytes = encodeSealedJson({ a: 1, text: 'ü' });
    expect(decodeSealedJson(bytes)).toEqual({ a: 1, text: 'ü' });
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1;
      expect(decodeSealedJson(flipped)).toBeTypeOf('string');
      expect(decodeSealedJson(bytes.subarray(0, at))).toBeTypeOf('string');
    }
  });

  test.each([
    ['is cut short', bytesOf('{}')],
    ['is not a sealed document', bytesOf('{"bodY":{},"crc32":"00000000"}\n')],
    ['is not a sealed document', bytesOf('{"body":{},"crc32":"0000000G"}\n')],
    ['fails its checksum', bytesOf('{"body":{},"crc32":"00000000"}\n')],
    ['holds no object', sealed('[1]')],
    ['holds no object', sealed('null')],
    ['holds no object', sealed('12')],
    ['holds no JSON', sealed('{"a":}')],
  ])('%s', (why, bytes) => {
    expect(decodeSealedJson(bytes)).toBe(why);
  });
});

describe('R2 the low-water record', () => {
  const lowWater = { timeline: 1, lsn: 12, segment: 3 };

  test('what was written: read; none there: undefined', async () => {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/wal');
    expect(await readLowWater(fs, '/wal')).toBeUndefined();
    await writeLowWater(fs, '/wal', lowWater);
    expect(await readLowWater(await fs.crash('dropped'), '/wal')).toEqual(lowWater);
  });

  test.each([
    ['no document', bytesOf('hello, this is not the document that is looked for')],
    ['no LSN', encodeSealedJson({ timeline: 1, segment: 3 })],
    ['a negative LSN', encodeSealedJson({ ...lowWater, lsn: -1 })],
    ['segment 0', encodeSealedJson({ ...lowWater, segment: 0 })],
    ['a broken timeline', encodeSealedJson({ ...lowWater, timeline: 1.5 })],
  ])('it holds %s: CORRUPT_RECORD', async (_, bytes) => {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/wal');
    await fs.put('/wal/low-water.json', bytes);
    const error = await errorOf(readLowWater(fs, '/wal'));
    expect(error).toMatchObject({
      code: 'CORRUPT_RECORD',
      details: { path: '/wal/low-water.json', offset: 0 },
    });
  });

  test('it cannot be looked at: IO', async () => {
    const fs = new FaultyFileSystem();
    fs.before = () => {
      throw injected('EIO');
    };
    expect(await codeOf(readLowWater(fs, '/wal'))).toBe('IO');
  });
});

describe('the identity of a store', () => {
  async function withIdentity(body: object): Promise<FaultyFileSystem> {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/log');
    await fs.put(`/log/${identityName}`, encodeSealedJson(body));
    return fs;
  }
  const body = {
    format: 1,
    kind: 'log',
    storeId: '00'.repeat(16),
    seed: '00'.repeat(8),
    keyGroups: 1,
    place: { kind: 'directory' },
  };

  test('power is lost before any call of making it: none, or a whole one', async () => {
    for (const seed of [1, 2, 3]) {
      const fs = new FaultyFileSystem();
      await fs.makeDirectory('/log');
      let checked = 0;
      fs.before = async () => {
        const after = await fs.crash(new SeededRandom(seed * 10 + checked++));
        const found = await readIdentity(after, '/log');
        if (found) expect(found.kind).toBe('log');
        else await createIdentity(after, '/log', 'log', 1, new SeededRandom(1));
      };
      const made = await createIdentity(fs, '/log', 'log', 1, new SeededRandom(seed));
      fs.before = () => {};
      expect(await readIdentity(await fs.crash('dropped'), '/log')).toEqual(made);
      expect(checked).toBeGreaterThan(6);
    }
  });

  test.each([
    ['no document', bytesOf('hello, this is not the document that is looked for'), 'CORRUPT_STORE'],
    ['no format', encodeSealedJson({ ...body, format: 'x' }), 'CORRUPT_STORE'],
    ['a later format', encodeSealedJson({ ...body, format: 2 }), 'UNSUPPORTED_FORMAT'],
    ['no kind', encodeSealedJson({ ...body, kind: 'x' }), 'CORRUPT_STORE'],
    ['no store id', encodeSealedJson({ ...body, storeId: '00' }), 'CORRUPT_STORE'],
    ['a store id of another type', encodeSealedJson({ ...body, storeId: 5 }), 'CORRUPT_STORE'],
    ['no seed', encodeSealedJson({ ...body, seed: 'zz' }), 'CORRUPT_STORE'],
    ['no key groups', encodeSealedJson({ ...body, keyGroups: 0.5 }), 'CORRUPT_STORE'],
    ['no key group', encodeSealedJson({ ...body, keyGroups: 0 }), 'CORRUPT_STORE'],
  ])('it holds %s: %s', async (_, bytes, code) => {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/log');
    await fs.put(`/log/${identityName}`, bytes);
    const error = await errorOf(readIdentity(fs, '/log'));
    expect(error).toMatchObject({ code, details: { path: `/log/${identityName}` } });
  });

  test('a directory of an engine: NOT_A_STORE for a log', async () => {
    const world = worldOn(await withIdentity({ ...body, kind: 'engine' }));
    expect(await codeOf(open(world))).toBe('NOT_A_STORE');
  });

  test('a file where the directory should be: NOT_A_STORE', async () => {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/a');
    await fs.put('/a/file', bytesOf('x'));
    expect(await codeOf(readIdentity(fs, '/a/file'))).toBe('NOT_A_STORE');
  });

  test('segments without an identity: CORRUPT_STORE, never a new log', async () => {
    const world = worldOn();
    const log = await open(world);
    await log.append(bytesOf('r1'));
    await log.close();
    const after = await crashed(world, 'kept');
    await after.fs.remove(`/log/${identityName}`);
    expect(await codeOf(open(after))).toBe('CORRUPT_STORE');
  });

  test('a directory cannot be listed: IO', async () => {
    const fs = new FaultyFileSystem();
    await fs.makeDirectory('/log/wal');
    await fs.put('/log/wal/x', bytesOf('x'));
    await fs.makeDirectory('/log');
    for (const failing of ['/log', '/log/wal']) {
      fs.before = ({ path }) => {
        if (path === failing) throw injected('EIO');
      };
      expect(await codeOf(readIdentity(fs, '/log'))).toBe('IO');
    }
  });
});
