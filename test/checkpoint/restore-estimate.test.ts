/*
 * The cost of a restore on paper, and the rates that it is worked out from.
 */
import { describe, expect, test } from 'vitest';
import {
  assumedRates,
  estimateRestore,
  RestoreMeter,
  sampleBytesMin,
} from '../../src/checkpoint/restore-estimate.ts';

const MIB = 1024 * 1024;
const rates = {
  loadBytesPerSecond: 100 * MIB,
  replayBytesPerSecond: 50 * MIB,
  overheadSeconds: 0.1,
};

test('an estimate: overhead, snapshots at one rate, log at another', () => {
  expect(estimateRestore(200 * MIB, 100 * MIB, rates)).toEqual({ seconds: 4.1, bytes: 300 * MIB });
  expect(estimateRestore(0, 0, rates)).toEqual({ seconds: 0.1, bytes: 0 });
});

describe('the meter', () => {
  test('nothing measured: assumptions, and it says that they are', () => {
    const meter = new RestoreMeter(undefined);
    expect([meter.rates, meter.measured, meter.knowsLoad]).toEqual([
      assumedRates,
      undefined,
      false,
    ]);
  });

  test('what the record knew: kept, and later samples blend in', () => {
    const meter = new RestoreMeter(rates);
    expect(meter.measured).toEqual(rates);
    expect(meter.loaded(300 * MIB, 1000)).toBe(1000);
    expect(meter.rates.loadBytesPerSecond).toBe(200 * MIB);
  });

  test('few bytes: no rate, and their time counts as what an opening takes in any case', () => {
    const meter = new RestoreMeter(undefined);
    expect(meter.loaded(sampleBytesMin - 1, 400)).toBe(0);
    expect(meter.replayed(sampleBytesMin - 1, 400)).toBe(0);
    meter.opened(900);
    expect([meter.measured, meter.rates.overheadSeconds]).toEqual([undefined, 0.9]);
  });

  test('a checkpoint bounds a replay, until one was measured', () => {
    const meter = new RestoreMeter(undefined);
    meter.checkpointed(10 * MIB, 1000);
    expect(meter.rates.replayBytesPerSecond).toBe(10 * MIB);
    expect(meter.replayed(40 * MIB, 1000)).toBe(1000);
    expect(meter.rates.replayBytesPerSecond).toBe(40 * MIB);
    meter.checkpointed(10 * MIB, 1000);
    expect(meter.rates.replayBytesPerSecond).toBe(40 * MIB);
    expect(meter.measured).toBeUndefined();
    meter.loaded(10 * MIB, 100);
    expect(meter.measured?.loadBytesPerSecond).toBe(100 * MIB);
  });
});
