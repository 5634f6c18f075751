/*
 * A frame that is refused leaves nothing behind: what is sealed after it is whole.
 */
import { afterEach, expect, test, vi } from 'vitest';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { openLogWith } from '../../src/wal/log.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const MIB = 1024 * 1024;

test('memory runs out while a frame is placed: it is refused, and later ones are read back', async () => {
  const components = { fs: new MemoryFileSystem(), clock: systemClock, random: systemRandom };
  const log = await openLogWith({ dir: '/log' }, components);
  expect(await log.append(new Uint8Array([1]))).toBe(1);
  const short = vi.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation(() => {
    throw new RangeError('Array buffer allocation failed');
  });
  const first = log.append(new Uint8Array([2]));
  await expect(log.append(new Uint8Array(2 * MIB))).rejects.toThrow('allocation failed');
  short.mockRestore();
  expect(await first.catch(() => 0)).toBeLessThanOrEqual(2);
  const next = await log.append(new Uint8Array([3]));
  await log.close();
  const again = await openLogWith({ dir: '/log' }, components);
  expect(again.tail).toBe(next);
  const sizes: number[] = [];
  for await (const record of again.read()) sizes.push(record.bytes.length);
  expect(sizes).toEqual(Array.from({ length: next }, () => 1));
  await again.close();
});

test('L10 space that a running fill will take is not promised to a large frame', async () => {
  const fs = new MemoryFileSystem({ capacityBytes: 24 * MIB });
  const components = { fs, clock: systemClock, random: systemRandom };
  const log = await openLogWith({ dir: '/log', segmentBytesMax: 12 * MIB }, components);
  // The first fill (12 MiB) runs; the frame (14 MiB) and the fill do not fit together.
  const outcome = await log.append(new Uint8Array(14 * MIB)).catch((error: unknown) => error);
  if (typeof outcome !== 'number') expect(outcome).toMatchObject({ code: 'NO_SPACE' });
  expect(await log.append(new Uint8Array([1]))).toBe(typeof outcome === 'number' ? 2 : 1);
  await log.close();
});
