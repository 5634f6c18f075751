/*
 * What `tidemark/testing` is given and cannot mean: refused with the name of the option, since a fault
 * that never strikes makes a test that proves nothing.
 */
import { describe, expect, test } from 'vitest';
import { TidemarkError } from '../../src/errors.ts';
import {
  crashStates,
  openEngineWith,
  SeededRandom,
  SimulatedClock,
  SimulatedFileSystem,
  type EngineComponents,
  type Fault,
} from '../../src/testing/index.ts';

/** Name of the option that a call is refused for. */
async function refused(act: () => unknown): Promise<unknown> {
  try {
    await act();
  } catch (error) {
    if (error instanceof TidemarkError) return [error.code, error.details['option']];
    throw error;
  }
  return undefined;
}

const of = (option: string): unknown => ['INVALID_OPTION', option];

describe('components of an engine', () => {
  const whole = (): EngineComponents => ({
    fs: new SimulatedFileSystem(),
    clock: new SimulatedClock(),
    random: new SeededRandom(1),
    threads: false,
  });

  test.each<[string, unknown]>([
    ['components', undefined],
    ['components', null],
    ['components.fs', { filesystem: new SimulatedFileSystem() }],
    ['components.fs', { ...whole(), fs: undefined }],
    ['components.fs', { ...whole(), fs: null }],
    ['components.fs', { ...whole(), fs: { open: () => {} } }],
    ['components.clock', { ...whole(), clock: undefined }],
    ['components.clock', { ...whole(), clock: Date }],
    ['components.random', { ...whole(), random: Math.random }],
    ['components.threads', { ...whole(), threads: undefined }],
    ['components.backgroundThreads', { ...whole(), backgroundThreads: 0 }],
    ['components.threadLimits', { ...whole(), threadLimits: 64 }],
    ['components.yieldNow', { ...whole(), yieldNow: true }],
  ])('%s is not as it has to be (%#): INVALID_OPTION', async (option, components) => {
    const open = (): unknown => openEngineWith({ dir: '/s' }, components as EngineComponents);
    expect(await refused(open)).toEqual(of(option));
  });

  test('all of them: it opens', async () => {
    const on = { ...whole(), backgroundThreads: 1, yieldNow: async () => {} };
    await (await openEngineWith({ dir: '/s' }, on)).close();
  });
});

test.each<[string, object]>([
  ['error', { error: 'EFOO' }],
  ['error', { call: 'write' }],
  ['name', { name: 7, error: 'EIO' }],
  ['path', { path: 7, error: 'EIO' }],
  ['pages', { call: 'sync', error: 'EIO', pages: 'dirtied' }],
  ['afterwards', { error: 'EIO', afterwards: 'yes' }],
  ['bytes', { bytes: -1 }],
  ['delayMs', { delayMs: Number.NaN }],
  ['delayMs', { delayMs: -1 }],
  ['act', { act: 'stop' }],
  ['times', { times: 0, error: 'EIO' }],
  ['nth', { nth: 2, every: 3, error: 'EIO' }],
  ['nth', { nth: 2, from: 3, error: 'EIO' }],
  ['fault.nht', { nht: 1, error: 'EIO' }],
])('a fault with a bad %s (%#): INVALID_OPTION', async (option, fault) => {
  const fs = new SimulatedFileSystem();
  expect(await refused(() => fs.inject(fault as Fault))).toEqual(of(option));
  const faults = [fault as Fault];
  expect(await refused(() => new SimulatedFileSystem({ faults }))).toEqual(of(option));
});

test.each<[string, object]>([
  ['sede', { sede: 1 }],
  ['seed', { seed: 'a' }],
  ['capacityBytes', { capacityBytes: -1 }],
  ['faults', { faults: { error: 'EIO' } }],
  ['clock', { clock: 5 }],
  ['order', { order: 'shuffled' }],
])('a file system with a bad %s: INVALID_OPTION', async (option, options) => {
  expect(await refused(() => new SimulatedFileSystem(options as never))).toEqual(of(option));
});

test('a name that no fault has, or ever had: INVALID_OPTION; one that has ended: healed again', async () => {
  const fs = new SimulatedFileSystem({ faults: [{ name: 'disk', error: 'EIO' }] });
  expect(await refused(() => fs.heal('dsik'))).toEqual(of('name'));
  expect(() => fs.heal('dsik')).toThrow(/there were disk/);
  fs.heal('disk');
  fs.heal('disk');
  expect(() => new SimulatedFileSystem().heal('disk')).toThrow(/no fault had one/);
});

test.each<[unknown]>([['gone'], [1.5], [null], [undefined], [{ page: () => 'kept' }]])(
  'a crash of the kind %j: INVALID_OPTION',
  async (kind) => {
    const fs = new SimulatedFileSystem();
    expect(await refused(() => fs.crash(kind as never))).toEqual(of('kind'));
  },
);

test('a capacity, a seed, a number of crash states that are none: INVALID_OPTION', async () => {
  const fs = new SimulatedFileSystem();
  const shrink = (): void => void (fs.capacityBytes = Number.NaN);
  expect(await refused(shrink)).toEqual(of('capacityBytes'));
  expect(await refused(() => new SeededRandom('a' as never))).toEqual(of('seed'));
  const point = fs.crashPoint();
  expect(await refused(() => crashStates(point, { statesMax: 0 }))).toEqual(of('statesMax'));
  expect(await refused(() => crashStates(point, { seeds: 1 } as object))).toEqual(of('seeds'));
});
