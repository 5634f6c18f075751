import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/std/clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const DAY_MS = 86_400_000;

test('a timer of 60 days, more than Node can wait for at once: fires then, and not before', () => {
  let fired = 0;
  systemClock.setTimer(60 * DAY_MS, () => fired++);
  vi.advanceTimersByTime(60 * DAY_MS - 1);
  expect(fired).toBe(0);
  vi.advanceTimersByTime(1);
  expect(fired).toBe(1);
  vi.advanceTimersByTime(60 * DAY_MS);
  expect(fired).toBe(1);
});

test('a long timer that is cancelled in its second stretch: never fires', () => {
  const timer = systemClock.setTimer(60 * DAY_MS, () => expect.fail('fired'));
  vi.advanceTimersByTime(30 * DAY_MS);
  timer.cancel();
  vi.advanceTimersByTime(60 * DAY_MS);
  expect(vi.getTimerCount()).toBe(0);
});
