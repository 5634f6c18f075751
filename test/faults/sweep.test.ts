/*
 * The Nth call of the file system fails, once or from then on, for every N until a run is untouched:
 * no acknowledged commit is lost, nothing hangs, every refusal is typed, no handle stays open.
 *
 * TIDEMARK_FAULTS=all tries every N (default: some of each kind);
 * TIDEMARK_SEED=N draws other power losses. A failure names the fault that repeats it.
 */
import { expect, test } from 'vitest';
import type { Fault, FileCallName } from '../../src/testing/index.ts';
import { faulty } from './faulty-run.ts';

const seed = Number(process.env['TIDEMARK_SEED'] ?? 1);
const all = process.env['TIDEMARK_FAULTS'] === 'all';

/** Each so-manyth call of a kind is tried; where it is one of few, each third or so. */
const strides: Readonly<Record<string, number>> = {
  'any call, EIO': 47,
  'a write, ENOSPC': 17,
  'an open or list, EMFILE': 29,
  'a name, EACCES': 37,
  'a short write, then ENOSPC': 7,
  'a short read': 23,
  'a sync, pages clean and not on the disk': 3,
  'a sync of a directory': 3,
  'free space cannot be told': 2,
  'a call that has done its work, then EIO': 7,
};

/** Kinds of fault: what strikes at the Nth call that matches. */
const kinds: Readonly<Record<string, Omit<Fault, 'nth' | 'from'>>> = {
  'any call, EIO': { error: 'EIO' },
  'a write, ENOSPC': { call: ['write', 'truncate', 'open', 'rename', 'link'], error: 'ENOSPC' },
  'an open or list, EMFILE': { call: ['open', 'list', 'syncDirectory'], error: 'EMFILE' },
  'a name, EACCES': { call: ['open', 'rename', 'link', 'unlink', 'stat'], error: 'EACCES' },
  'a short write, then ENOSPC': { call: 'write', bytes: 100, error: 'ENOSPC' },
  'a short read': { call: ['read', 'readNow'], bytes: 7 },
  'a sync, pages clean and not on the disk': { call: 'sync', error: 'EIO' },
  'a sync of a directory': { call: 'syncDirectory', error: 'EIO' },
  'free space cannot be told': { call: 'freeBytes', error: 'EIO' },
  'a call that has done its work, then EIO': {
    call: ['write', 'rename', 'link', 'unlink', 'truncate'] satisfies FileCallName[],
    error: 'EIO',
    afterwards: true,
  },
};

for (const [index, [name, kind]] of Object.entries(kinds).entries()) {
  for (const how of ['nth', 'from'] as const) {
    test(`${name}, ${how === 'nth' ? 'once' : 'from then on'}: nothing acknowledged is lost`, async () => {
      const stride = all ? 1 : strides[name]!;
      let tried = 0;
      const broken: string[] = [];
      const refused = new Set<string>();
      for (let n = 1 + ((index * 7) % stride); ; n += stride) {
        const fault: Fault = { ...kind, [how]: n };
        const outcome = await faulty(fault, seed).catch((error: unknown) => told(error));
        tried++;
        if (typeof outcome === 'string') {
          broken.push(`${JSON.stringify(fault)}: ${outcome}`);
          continue;
        }
        if (!outcome.struck) break;
        for (const code of outcome.refused) refused.add(code);
      }
      process.stdout.write(
        `${name}, ${how}: ${tried} runs, refused with ${[...refused].sort().join(', ')}\n`,
      );
      expect(broken).toEqual([]);
      expect(tried).toBeGreaterThan(3);
    }, 900_000);
  }
}

test('no fault: nothing is refused', async () => {
  const { refused, calls } = await faulty(undefined, seed);
  expect([...refused]).toEqual([]);
  expect(calls).toBeGreaterThan(300);
});

/** An error and what caused it, in one text. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const frame = error.stack?.split('\n').find((line) => line.includes('/src/')) ?? '';
  const cause = error.cause === undefined ? '' : ` <- ${told(error.cause)}`;
  return `${error.message} ${frame.trim()}${cause}`;
}
