/*
 * Warnings of what is about to become a problem: each once when it begins, and again after it was over.
 */
import { expect, test } from 'vitest';
import type { CheckpointRecord } from '../../src/engine/index.ts';
import { EventHub, type EngineWarning } from '../../src/engine/events.ts';
import { Watch } from '../../src/engine/watch.ts';

const GIB = 1024 ** 3;

function watched(freeBytes = () => 100 * GIB): { watch: Watch; told: EngineWarning[] } {
  const hub = new EventHub();
  const told: EngineWarning[] = [];
  hub.on('warning', (warning) => told.push(warning));
  return { watch: new Watch(hub, freeBytes), told };
}

const recordOf = (...bytes: number[]): CheckpointRecord =>
  ({
    chain: bytes.map((size, i) => ({ name: `s${i}`, bytes: size })),
  }) as unknown as CheckpointRecord;
const codes = (told: readonly EngineWarning[]): string[] => told.map(({ code }) => code);

test('a snapshot above 1 GiB: told with its name and size, once', () => {
  const { watch, told } = watched();
  watch.published(recordOf(GIB, 10));
  expect(told).toEqual([]);
  watch.published(recordOf(10, GIB + 1, 20));
  watch.published(recordOf(10, GIB + 1, 20));
  expect(told).toMatchObject([{ code: 'SNAPSHOT_LARGE', details: { name: 's1', bytes: GIB + 1 } }]);
  watch.published(recordOf(10));
  watch.published(recordOf(2 * GIB));
  expect(codes(told)).toEqual(['SNAPSHOT_LARGE', 'SNAPSHOT_LARGE']);
});

test('less than 1 GiB free: told', () => {
  let free = GIB;
  const { watch, told } = watched(() => free);
  watch.published(recordOf(1));
  expect(told).toEqual([]);
  free = GIB - 1;
  watch.published(recordOf(1));
  expect(told).toMatchObject([{ code: 'DISK_LOW', details: { freeBytes: GIB - 1 } }]);
});

test('a budget: near it or over it is one warning, below one base another', () => {
  const { watch, told } = watched();
  const at = { seconds: 2, bytes: 1000 };
  for (const state of ['within', 'near', 'over', 'within', 'unreachable', 'none'] as const) {
    watch.budget({ state, estimate: at, floor: at });
  }
  expect(codes(told)).toEqual(['BUDGET_NEAR', 'BUDGET_UNREACHABLE']);
  expect(told[1]!.details).toEqual({ floorSeconds: 2, floorBytes: 1000 });
});

test('buffers at four fifths of a bound: told, whichever it is, and again after they were emptier', () => {
  const { watch, told } = watched();
  watch.buffers(0.79, 0.1);
  expect(told).toEqual([]);
  watch.buffers(0.8, 0.1);
  watch.buffers(0.1, 0.9);
  expect(codes(told)).toEqual(['BUFFERS_FULL']);
  watch.buffers(0.1, 0.1);
  watch.buffers(0.1, 0.95);
  expect(codes(told)).toEqual(['BUFFERS_FULL', 'BUFFERS_FULL']);
});

test('a merge that is held: told while it is', () => {
  const { watch, told } = watched();
  for (const held of [false, true, true, false, true]) watch.held(held);
  expect(codes(told)).toEqual(['MERGE_HELD', 'MERGE_HELD']);
});
