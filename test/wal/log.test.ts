import { describe, expect, test } from 'vitest';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { openLogWith, type LogRecord } from '../../src/wal/log.ts';

const on = (fs = new MemoryFileSystem()) => ({ fs, clock: systemClock, random: systemRandom });
const text = (value: string) => new TextEncoder().encode(value);

async function all(records: AsyncGenerator<LogRecord>): Promise<[number, string][]> {
  const given: [number, string][] = [];
  for await (const { lsn, bytes } of records) given.push([lsn, Buffer.from(bytes).toString()]);
  return given;
}

describe('a log', () => {
  test('opened again after a clean close: every record is there, in order', async () => {
    const components = on();
    const log = await openLogWith({ dir: '/log' }, components);
    expect(await log.append(text('one'))).toBe(1);
    expect(await log.appendBatch([text('two'), text('three')])).toBe(2);
    expect(log.tail).toBe(3);
    await log.close();
    const again = await openLogWith({ dir: '/log' }, components);
    expect(again.tail).toBe(3);
    expect(await all(again.read())).toEqual([
      [1, 'one'],
      [2, 'two'],
      [3, 'three'],
    ]);
    expect(await again.append(text('four'))).toBe(4);
    expect(await all(again.read({ from: 3 }))).toEqual([
      [3, 'three'],
      [4, 'four'],
    ]);
    await again.close();
  });

  test('many appends over small segments: rotation keeps every record', async () => {
    const components = on();
    const options = { dir: '/log', segmentBytesMax: 4096 };
    const log = await openLogWith(options, components);
    for (let round = 0; round < 200; round++) {
      const lsns = await Promise.all([
        log.append(text(`a${round}`.padEnd(100))),
        log.append(text(`b${round}`)),
      ]);
      expect(lsns).toEqual([2 * round + 1, 2 * round + 2]);
    }
    await log.close();
    const again = await openLogWith(options, components);
    const records = await all(again.read());
    expect(records).toHaveLength(400);
    expect(
      records.every(([lsn, value], i) => lsn === i + 1 && value.startsWith(i % 2 ? 'b' : 'a')),
    ).toBe(true);
    await again.close();
  });
});
