import { expect, test } from 'vitest';
import { ValueDecoder } from '../../src/codec/value-decoder.ts';
import { describeEntry } from '../../src/checkpoint/library/snapshot-entries.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { FoldScratch } from '../../src/snapshot/operators.ts';
import { foldNewer } from '../../src/snapshot/fold.ts';
import { patchOfObject } from '../../src/snapshot/patch.ts';
import { decodePatch, PatchReplacement } from '../../src/snapshot/patch-decode.ts';
import { encodeValue } from './model.ts';
import { entryOf } from './runs.ts';

const decoder = new ValueDecoder(new Map());

function operand(object: object, lsn: number): ReturnType<typeof entryOf> {
  const value = patchOfObject(encodeValue(object));
  const change = { table: 16, op: ops.merge, operator: operatorIds.patch, key: 'k', value };
  return entryOf(change, lsn, lsn, 0);
}

test('a patch with deletions, patches, values and a replacement: each as what it is', () => {
  const folded = operand({ gone: null, again: 1, in: { side: null } }, 1);
  foldNewer(folded, operand({ again: { a: [null] }, date: new Date(5) }, 2), new FoldScratch());
  const { bytes, subKeyEnd: start, valueEnd: end } = folded;
  const expected = {
    gone: null,
    again: new PatchReplacement({ a: [null] }),
    in: { side: null },
    date: new Date(5),
  };
  expect(decodePatch({ bytes, start, end }, decoder)).toEqual(expected);
  const key = entryOf({ table: 16, op: ops.merge, key: '' }, 1, 1, 0);
  Object.assign(folded, { keyStart: key.keyStart, keyEnd: key.keyEnd });
  expect(describeEntry(folded, undefined, decoder)).toMatchObject({
    op: 'merge',
    mergeOperator: 'patch',
    value: expected,
  });
});

test('a field called __proto__: a field like any other', () => {
  const patch = patchOfObject(encodeValue(JSON.parse('{"__proto__":{"x":1}}')));
  const decoded = decodePatch({ bytes: patch, start: 0, end: patch.length }, decoder);
  expect(Object.keys(decoded)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
});

test('bytes that are no patch: refused', () => {
  const bytes = encodeValue([1]);
  expect(() => decodePatch({ bytes, start: 0, end: bytes.length }, decoder)).toThrow(
    /is no object/,
  );
});
