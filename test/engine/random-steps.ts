/*
 * Random changes of all kinds, of so few keys that they meet.
 */
import * as fc from 'fast-check';
import type { Step } from './model.ts';

export const keys: (string | number)[] = ['a', 'b', 'c', 1, 2];
export const subKeys: number[] = [1, 2, 3];

export const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom<Step['what']>(
    'set',
    'set',
    'set',
    'delete',
    'patch',
    'patch',
    'patch',
    'clearAll',
    'mapSet',
    'mapSet',
    'mapSet',
    'mapDelete',
    'mapClear',
    'mapClearAll',
    'append',
    'append',
    'append',
    'listClear',
    'add',
    'add',
    'counterDelete',
    'blobSet',
    'blobDelete',
    'extremes',
    'extremes',
    'extremesDelete',
    'reduce',
    'reduce',
    'reduceDelete',
  ),
  key: fc.constantFrom(...keys),
  subKey: fc.constantFrom(...subKeys),
  value: fc.integer({ min: -1000, max: 1000 }),
});
