import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { InvalidArgumentError } from '../../src/errors.ts';
import { checkObjectName, checkObjectPrefix, isObjectName } from '../../src/store/object-name.ts';

describe('object names', () => {
  test.each([
    ['', 'empty'],
    ['a/', 'ends with /'],
    ['/a', 'starts with / or has //'],
    ['a//b', 'starts with / or has //'],
    ['.', 'a part is . or ..'],
    ['a/../b', 'a part is . or ..'],
    ['a b', 'a character outside of A-Z a-z 0-9 . _ / -'],
    ['a\n', 'a character outside of A-Z a-z 0-9 . _ / -'],
    ['a~', 'a character outside of A-Z a-z 0-9 . _ / -'],
    ['x'.repeat(256), 'a part is too long'],
    ['d/'.repeat(256) + 'z', 'longer than 512 characters'],
    [7 as unknown as string, 'not a string'],
  ])('%j: INVALID_NAME, because it is %s', (name, problem) => {
    expect(isObjectName(name)).toBe(false);
    expect(() => checkObjectName(name)).toThrow(InvalidArgumentError);
    expect(() => checkObjectName(name)).toThrow(
      expect.objectContaining({ code: 'INVALID_NAME', details: { name, problem } }),
    );
  });

  test.each([
    ['/', 'starts with / or has //'],
    ['a//', 'starts with / or has //'],
    ['../', 'a part is . or ..'],
    ['a/../b', 'a part is . or ..'],
    ['a b', 'a character outside of A-Z a-z 0-9 . _ / -'],
    ['x'.repeat(256), 'a part is too long'],
    ['x'.repeat(256) + '/', 'a part is too long'],
    ['d/'.repeat(257), 'longer than 512 characters'],
    [null as unknown as string, 'not a string'],
  ])('prefix %j: INVALID_NAME, because it is %s', (prefix, problem) => {
    expect(() => checkObjectPrefix(prefix)).toThrow(
      expect.objectContaining({ code: 'INVALID_NAME', details: { name: prefix, problem } }),
    );
  });

  test('any legal name, cut anywhere: a legal prefix', () => {
    const part = fc
      .stringMatching(/^[A-Za-z0-9._-]{1,20}$/)
      .filter((text) => !/^\.{1,2}$/.test(text));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), fc.nat(200), (parts, cut) => {
        const name = parts.join('/');
        expect(isObjectName(name)).toBe(true);
        checkObjectName(name);
        checkObjectPrefix(name.slice(0, cut));
      }),
      { seed: 20_262, numRuns: 200 },
    );
  });
});
