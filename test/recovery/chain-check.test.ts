/*
 * Whether the chain that a record names can be that of its moment, before anything of it is read.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeRecord, type ChainLink } from '../../src/checkpoint/checkpoint-record.ts';
import { checkChain } from '../../src/recovery/chain-loader.ts';

const golden = readFileSync(new URL('../golden/record-v1.json', import.meta.url));
const record = decodeRecord(golden, 'checkpoints/0000000007.json');
const [base, delta] = record.chain as [ChainLink, ChainLink];
const { lsn } = record;
const middle = delta.fromLsn + 1;
const older = { ...delta, lastLsn: middle };
const newer = { ...delta, fromLsn: middle };

test.each<[string, readonly ChainLink[]]>([
  ['a base and the delta behind it', [base, delta]],
  ['two deltas, one behind the other', [base, older, newer]],
  ['a base alone', [{ ...base, lastLsn: lsn }]],
])('%s: a chain', (_, chain) => {
  expect(() => checkChain({ ...record, chain })).not.toThrow();
});

test.each<[string, readonly ChainLink[]]>([
  ['a gap behind the base', [base, newer]],
  ['a gap between two deltas', [base, older, { ...newer, fromLsn: middle + 1 }]],
  ['two deltas of the same commits', [base, delta, delta]],
  ['a delta that begins before the one before it ends', [base, older, delta]],
  ['a delta first', [delta]],
  ['a base behind a base', [base, { ...delta, kind: 'base' }]],
  ['an end before the record’s LSN', [base, older]],
  ['an end behind the record’s LSN', [base, { ...delta, lastLsn: lsn + 1 }]],
  ['nothing', []],
])('%s: BROKEN_CHAIN', (_, chain) => {
  expect(() => checkChain({ ...record, chain })).toThrow(
    expect.objectContaining({ code: 'BROKEN_CHAIN' }),
  );
});
