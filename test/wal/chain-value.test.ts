import { expect, test } from 'vitest';
import {
  chainCrc,
  chainStart,
  formatChain,
  mixFrame,
  parseChain,
  readChain,
  sameChain,
  writeChain,
} from '../../src/wal/chain-value.ts';

test('the low half: the same however the bytes are parted', () => {
  const bytes = Uint8Array.from({ length: 900 }, (_, i) => i * 7);
  const whole = chainCrc(0, bytes, 0, 900);
  for (const at of [1, 100, 450, 899]) {
    expect(chainCrc(chainCrc(0, bytes, 0, at), bytes, at, 900)).toBe(whole);
  }
});

test('the high half: another LSN, length, or order of frames gives another', () => {
  const mixed = new Set<number>();
  for (const lsn of [1, 2, 3, 2 ** 32 + 7, 2 ** 40]) {
    for (const bytes of [8, 9, 1000]) mixed.add(mixFrame(0, lsn, bytes));
  }
  expect(mixed.size).toBe(15);
  expect(mixFrame(mixFrame(0, 1, 8), 2, 9)).not.toBe(mixFrame(mixFrame(0, 1, 9), 2, 8));
});

test('bytes and text: read back as they were written', () => {
  const chain = { crc: 0xfedcba98, mix: 0x00000001 };
  const bytes = new Uint8Array(12);
  writeChain(bytes, 4, chain);
  expect(readChain(bytes, 4)).toEqual(chain);
  expect(formatChain(chain)).toBe('fedcba9800000001');
  expect(parseChain('fedcba9800000001')).toEqual(chain);
  expect(sameChain(chain, { ...chain })).toBe(true);
  expect(sameChain(chain, { ...chain, mix: 2 })).toBe(false);
  expect(sameChain(chain, { ...chain, crc: 2 })).toBe(false);
  expect(formatChain(chainStart)).toBe('0'.repeat(16));
});

test('text that is no chain value: undefined', () => {
  for (const text of [
    '',
    'fedcba980000000',
    'fedcba98000000011',
    'FEDCBA9800000001',
    'x'.repeat(16),
  ]) {
    expect(parseChain(text)).toBeUndefined();
  }
});
