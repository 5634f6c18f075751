import { expect, test } from 'vitest';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import type { Clock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { openLogWith } from '../../src/wal/log.ts';

/** A clock that stands still; its timers fire when the test says so. */
class StandingClock implements Clock {
  #timers: (() => void)[] = [];
  nowMicros(): number {
    return 1;
  }
  monotonicMs(): number {
    return 1;
  }
  setTimer(_delayMs: number, fire: () => void): { cancel(): void } {
    this.#timers.push(fire);
    return { cancel: () => (this.#timers = this.#timers.filter((timer) => timer !== fire)) };
  }
  fire(): void {
    for (const timer of this.#timers.splice(0)) timer();
  }
}

test('L5: a second of idleness leaves a proof mark, and appends go on behind it', async () => {
  const clock = new StandingClock();
  const components = { fs: new MemoryFileSystem(), clock, random: systemRandom };
  const log = await openLogWith({ dir: '/log' }, components);
  for (let i = 1; i <= 3; i++) {
    expect(await log.append(new Uint8Array([i]))).toBe(i * 2 - 1);
    const { marks } = log.stats();
    clock.fire();
    // Sealed in the same turn as the mark: it goes behind it.
    expect(await log.append(new Uint8Array([i]))).toBe(i * 2);
    expect(log.stats().marks).toBe(marks + 1);
  }
  await log.close();
  const again = await openLogWith({ dir: '/log' }, components);
  const bytes: number[] = [];
  for await (const record of again.read()) bytes.push(record.bytes[0]!);
  expect(bytes).toEqual([1, 1, 2, 2, 3, 3]);
  await again.close();
});
