/*
 * Codecs of users: registration, and what becomes of one that lies.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  checkCodecs,
  isRegistered,
  registerCodecs,
  registeredCodec,
  registeredCodecs,
} from '../../src/codec/compression-modules.ts';
import { TidemarkError } from '../../src/errors.ts';

const moduleOf = (name: string): URL => new URL(`./modules/${name}.mjs`, import.meta.url);
const reversing = { name: 'reversing', module: moduleOf('reversing') };
const lying = { name: 'lying', module: moduleOf('lying') };

async function errorOf(act: () => unknown): Promise<TidemarkError> {
  try {
    await act();
  } catch (error) {
    expect(error).toBeInstanceOf(TidemarkError);
    return error as TidemarkError;
  }
  throw new Error('nothing was thrown');
}

describe('registering', () => {
  test('nobody registered it: CODEC_UNAVAILABLE names it and says how to', async () => {
    const error = await errorOf(() => registeredCodec('absent'));
    expect(error).toMatchObject({ code: 'CODEC_UNAVAILABLE', details: { codec: 'absent' } });
    expect(error.message).toMatch(/codecs.*--codec-module absent=PATH/);
    expect(isRegistered('absent')).toBe(false);
  });

  test('by URL, by its text, by path, twice: one codec', async () => {
    const path = fileURLToPath(reversing.module);
    await registerCodecs([reversing]);
    await registerCodecs([{ name: 'reversing', module: reversing.module.href }]);
    await registerCodecs([{ name: 'reversing', module: path }]);
    expect(registeredCodecs().filter(({ name }) => name === 'reversing')).toEqual([
      { name: 'reversing', module: reversing.module.href },
    ]);
  });

  test('a relative path: of the working directory', () => {
    const [codec] = checkCodecs([{ name: 'relative', module: './own.mjs' }]);
    expect(fileURLToPath(codec!.module)).toBe(`${process.cwd()}/own.mjs`);
  });

  test.each<[string, unknown, string]>([
    ['no list', {}, 'codecs'],
    ['no object in it', [null], 'codecs[0]'],
    ['an unknown field', [{ ...lying, level: 1 }], 'codecs[0].level'],
    ['no name', [{ module: lying.module }], 'codecs[0].name'],
    ['a name with capitals', [{ ...lying, name: 'Own' }], 'codecs[0].name'],
    ['a name that is too long', [{ ...lying, name: 'a'.repeat(65) }], 'codecs[0].name'],
    ['the name of a built-in codec', [{ ...lying, name: 'zstd' }], 'codecs[0].name'],
    ['no module', [{ name: 'own' }], 'codecs[0].module'],
    ['an empty module', [{ name: 'own', module: '' }], 'codecs[0].module'],
    ['a name twice', [lying, lying], 'codecs[1].name'],
    [
      'a module that is not there',
      [{ name: 'own', module: './no-such-module.mjs' }],
      'codecs[0].module',
    ],
    [
      'a module without decompress',
      [{ name: 'own', module: moduleOf('half') }],
      'codecs[0].module',
    ],
  ])('%s: INVALID_OPTION names it', async (_, codecs, option) => {
    const error = await errorOf(() => registerCodecs(codecs as []));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
    expect(error.message).toMatch(`option ${option} `);
  });

  test('a name that stands for another module: INVALID_OPTION names that', async () => {
    await registerCodecs([reversing]);
    const error = await errorOf(() => registerCodecs([{ ...lying, name: 'reversing' }]));
    expect(error.code).toBe('INVALID_OPTION');
    expect(error.message).toContain(reversing.module.href);
  });
});

describe('a codec of a user', () => {
  test('its memory is used again, and its input written to: nothing of ours changes', async () => {
    await registerCodecs([reversing]);
    const codec = registeredCodec('reversing');
    const sources = [1, 2].map((byte) => new Uint8Array(5000).fill(byte));
    const stored = sources.map((source) => codec.compress(source));
    sources.forEach((source, i) => {
      expect(source.every((byte) => byte === i + 1)).toBe(true);
      const copy = stored[i]!.slice();
      const target = new Uint8Array(5000);
      codec.decompressInto(stored[i]!, target);
      expect(target).toEqual(source);
      expect(stored[i]).toEqual(copy);
    });
  });

  test.each([
    [1, 'threw'],
    [2, 'no Uint8Array'],
    [3, 'does not decompress'],
    [4, 'other bytes'],
    [5, 'does not decompress'],
    [6, 'does not decompress'],
  ])('lies in way %d when it writes: CODEC_FAILED, %s', async (way, why) => {
    await registerCodecs([lying]);
    const codec = registeredCodec('lying');
    const error = await errorOf(() => codec.compress(new Uint8Array(100).fill(way)));
    expect(error).toMatchObject({ kind: 'invalid', code: 'CODEC_FAILED' });
    expect(error.message).toContain(why);
  });

  test.each([3, 5, 6])('lies in way %d when it reads: CORRUPT_SNAPSHOT', async (way) => {
    await registerCodecs([lying]);
    const codec = registeredCodec('lying');
    const error = await errorOf(() =>
      codec.decompressInto(Uint8Array.of(way), new Uint8Array(100)),
    );
    expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details: { codec: 'lying' } });
  });
});
