/*
 * Merging chains of files: what each strategy makes, what options change, what is refused.
 */
import * as fc from 'fast-check';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  createSnapshot,
  mergeSnapshots,
  openSnapshot,
} from '../../../src/checkpoint/library/snapshot-library.ts';
import { inputsMax, planSteps } from '../../../src/checkpoint/library/snapshot-merge-plan.ts';
import {
  mergeSnapshotsWith,
  type MergedSnapshotFile,
  type MergeSnapshotsOptions,
} from '../../../src/checkpoint/library/snapshot-merge.ts';
import { mergeStrategies } from '../../../src/checkpoint/record-notes.ts';
import { Library, toMap } from './snapshot-fixture.ts';

const code = (value: string): unknown => expect.objectContaining({ code: value });
const option = (name: string): unknown =>
  expect.objectContaining({
    code: 'INVALID_OPTION',
    details: expect.objectContaining({ option: name }),
  });

class Merger extends Library {
  #count = 0;

  merge(
    [base, ...deltas]: readonly string[],
    options: Partial<MergeSnapshotsOptions> = {},
  ): Promise<MergedSnapshotFile> {
    const output = `/merged-${++this.#count}`;
    return mergeSnapshotsWith(base!, deltas, { output, ...options }, this);
  }

  /** A base and deltas of changes. */
  async chain(changes: readonly Readonly<Record<string, unknown>>[]): Promise<string[]> {
    const paths: string[] = [];
    for (const [i, each] of changes.entries()) {
      paths.push(await this.make(`/${i}`, each, i === 0 ? {} : { base: [...paths] }));
    }
    return paths;
  }
}

describe('any chain', () => {
  const change = fc.dictionary(
    fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    fc.option(fc.nat({ max: 9 }), { nil: undefined }),
  );
  const changes = fc.array(change, { minLength: 2, maxLength: 22 });

  test.each(mergeStrategies)('%s: the state of all changes one after another', async (strategy) => {
    const property = fc.asyncProperty(changes, async (list) => {
      const library = new Merger();
      const state = new Map<unknown, unknown>();
      for (const each of list) {
        for (const [key, value] of Object.entries(each)) {
          if (value === undefined) state.delete(key);
          else state.set(key, value);
        }
      }
      const paths = await library.chain(list);
      const merged = await library.merge(paths, { strategy });
      expect(toMap(await library.entries(merged.path))).toEqual(state);
      const newest = (await library.open(paths.at(-1)!)).metadata;
      const { lastLsn, lastTimestamp, storeId } = newest;
      expect(merged).toMatchObject({ kind: 'base', fromLsn: 0, lastLsn, lastTimestamp, storeId });
      const snapshot = await library.open(merged.path);
      expect(await snapshot.verify()).toMatchObject({ faults: [], sha256: merged.sha256 });
      const names = await library.fs.list('/');
      expect(names.filter((name) => name.endsWith('.part'))).toEqual([]);
    });
    await fc.assert(property, { seed: 5, numRuns: 25 });
  });

  test('every strategy: the same bytes', async () => {
    const library = new Merger();
    const paths = await library.chain(
      Array.from({ length: 20 }, (_, i) => ({ [`k${i}`]: i, [`k${i - 1}`]: undefined, same: i })),
    );
    const files = [];
    for (const strategy of mergeStrategies) {
      files.push(await library.bytes((await library.merge(paths, { strategy })).path));
    }
    expect(files[1]!.equals(files[0]!)).toBe(true);
    expect(files[2]!.equals(files[0]!)).toBe(true);
  });
});

test('deltas without their base: one delta, with its tombstones', async () => {
  const library = new Merger();
  const [base, one, two] = await library.chain([{ x: 1, y: 1 }, { x: 2 }, { y: undefined, z: 3 }]);
  const merged = await library.merge([one!, two!]);
  expect(merged).toMatchObject({ kind: 'delta', fromLsn: 1, lastLsn: 3 });
  const entries = await library.entries(merged.path, {}, { older: base! });
  expect(new Map(entries.map(({ key, op }) => [key, op]))).toEqual(
    new Map([
      ['x', 'put'],
      ['y', 'delete'],
      ['z', 'put'],
    ]),
  );
  const whole = await library.merge([base!, merged.path]);
  expect(toMap(await library.entries(whole.path))).toEqual(
    new Map([
      ['x', 2],
      ['z', 3],
    ]),
  );
});

test('over real files in worker threads: merged, durable, nothing left beside it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-merge-'));
  try {
    const base = join(folder, 'base');
    const delta = join(folder, 'delta');
    const first = await createSnapshot(base);
    for (let i = 0; i < 5000; i++) await first.write('t', i, `value ${i}`);
    await first.finish();
    const second = await createSnapshot(delta, { base });
    for (let i = 0; i < 5000; i += 5) await second.delete('t', i);
    await second.finish();
    const output = join(folder, 'merged');
    const options = { output, strategy: 'parallel', threadsMax: 2 } as const;
    const merged = await mergeSnapshots(base, [delta], options);
    expect(merged).toMatchObject({ entryCount: 4000, threads: 2 });
    const snapshot = await openSnapshot(output);
    expect((await snapshot.verify()).faults).toEqual([]);
    expect(await snapshot.get('t', 5)).toBeUndefined();
    expect(await snapshot.get('t', 6)).toMatchObject({ value: 'value 6' });
    await snapshot.close();
    expect(readdirSync(folder).sort()).toEqual(['base', 'delta', 'merged']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('options', () => {
  test('strategy and threadsMax: steps and threads are those that they say', async () => {
    const library = new Merger();
    const length = inputsMax + 2;
    const paths = await library.chain(Array.from({ length }, (_, i) => ({ [`k${i}`]: i })));
    const all = [{ start: 0, count: length, why: expect.any(String) }];
    expect(await library.merge(paths, { strategy: 'sequential' })).toMatchObject({
      steps: all,
      threads: 1,
    });
    expect(await library.merge(paths, { strategy: 'parallel', threadsMax: 3 })).toMatchObject({
      steps: all,
      threads: 3,
    });
    const optimal = await library.merge(paths, { threadsMax: 3 });
    expect(optimal.threads).toBe(1);
    expect(optimal.steps.map(({ count }) => count)).toEqual([3, inputsMax]);
    expect(toMap(await library.entries(optimal.path)).size).toBe(length);
  });

  test('compression, compressionBytesMin, codecs: change the file', async () => {
    const library = new Merger();
    const paths = await library.chain([{ x: 'a'.repeat(3000) }, { y: 1 }]);
    const bytesOf = async (options: Partial<MergeSnapshotsOptions>): Promise<number> =>
      (await library.merge(paths, options)).fileBytes;
    const none = await bytesOf({ compression: 'none' });
    expect(await bytesOf({})).toBeLessThan(none - 2000);
    expect(await bytesOf({ compressionBytesMin: 5000 })).toBe(none);
    await expect(bytesOf({ codecs: [{ name: 'x', module: '/nowhere.mjs' }] })).rejects.toThrow();
    const both = { compression: { codec: 'lz4', bytesMin: 5 }, compressionBytesMin: 5 };
    await expect(bytesOf(both)).rejects.toEqual(option('compressionBytesMin'));
  });

  test.each<[object, string]>([
    [{ strategy: 'fast' }, 'strategy'],
    [{ threadsMax: 0 }, 'threadsMax'],
    [{ threadsMax: 2, strategy: 'sequential' }, 'threadsMax'],
    [{ output: 1 }, 'output'],
    [{ timeoutMs: -1 }, 'timeoutMs'],
    [{ signal: {} }, 'signal'],
    [{ threads: 1 }, 'threads'],
  ])('%j: refused by name', async (options, name) => {
    const library = new Merger();
    const paths = await library.chain([{ x: 1 }, { y: 1 }]);
    await expect(library.merge(paths, options)).rejects.toEqual(option(name));
  });

  test('no options: says that an output is needed', async () => {
    const library = new Merger();
    const [base, ...deltas] = await library.chain([{ x: 1 }, { y: 1 }]);
    const merging = mergeSnapshotsWith(base!, deltas, undefined, library);
    await expect(merging).rejects.toEqual(option('output'));
  });

  test('signal, and a time that is up: ABORTED and TIMEOUT, no file stays', async () => {
    const library = new Merger();
    const paths = await library.chain([{ x: 1 }, { y: 1 }]);
    const aborted = library.merge(paths, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toEqual(code('ABORTED'));
    const controller = new AbortController();
    const during = library.merge(paths, { signal: controller.signal });
    const late = library.merge(paths, { timeoutMs: 5 });
    const open = library.fs.open.bind(library.fs);
    library.fs.open = (path, mode) => {
      if (path.endsWith('.part')) {
        controller.abort();
        library.clock.advance(10);
      }
      return open(path, mode);
    };
    await expect(during).rejects.toEqual(code('ABORTED'));
    await expect(late).rejects.toEqual(code('TIMEOUT'));
    expect(await library.fs.list('/')).toEqual(['0', '1']);
  });
});

describe('what does not fit', () => {
  test.each<[string, (paths: readonly string[]) => readonly string[], string]>([
    ['a gap', ([a, , c]) => [a!, c!], 'there is a gap'],
    ['a file twice', ([a, b]) => [a!, b!, b!], 'they overlap'],
    ['wrong order', ([a, b, c]) => [a!, c!, b!], 'there is a gap'],
    ['two bases', ([a]) => [a!, a!], 'it is a base'],
    ['another store', ([a]) => [a!, '/fork'], 'it is of another store'],
    ['another seed', ([a]) => [a!, '/foreign'], 'it has another seed'],
  ])('%s: BROKEN_CHAIN with both ends', async (_, choose, why) => {
    const library = new Merger();
    const paths = await library.chain([{ x: 1 }, { y: 1 }, { z: 1 }]);
    await library.make('/fork', { x: 1 }, { base: '/0', storeId: 'ab'.repeat(16) });
    await library.make('/else', { x: 1 });
    await library.make('/foreign', { x: 2 }, { base: '/else' });
    await expect(library.merge(choose(paths))).rejects.toEqual(
      expect.objectContaining({
        code: 'BROKEN_CHAIN',
        details: expect.objectContaining({
          why,
          older: expect.objectContaining({ lastLsn: expect.any(Number) }),
          newer: expect.objectContaining({ fromLsn: expect.any(Number) }),
        }),
      }),
    );
  });

  test('no deltas, a name that is taken: refused', async () => {
    const library = new Merger();
    const paths = await library.chain([{ x: 1 }, { y: 1 }]);
    await expect(library.merge(['/0'])).rejects.toEqual(option('deltas'));
    await expect(library.merge(paths, { output: '/0' })).rejects.toEqual(code('INVALID_CALL'));
  });
});

test('a plan for many files: small neighbours first, never more inputs than a pass takes', () => {
  const sizes = fc.array(fc.nat({ max: 1000 }), { minLength: 2, maxLength: 200 });
  const property = fc.property(sizes, fc.boolean(), (bytes, isBase) => {
    const files = bytes.map((size, i) => ({
      kind: isBase && i === 0 ? ('base' as const) : ('delta' as const),
      bytes: size,
    }));
    const { steps } = planSteps(files, { strategy: 'optimal', threadsMax: 4 });
    let left = files.length;
    for (const { start, count } of steps) {
      expect(count).toBeGreaterThanOrEqual(2);
      expect(count).toBeLessThanOrEqual(inputsMax);
      expect(start + count).toBeLessThanOrEqual(left);
      if (isBase && left > count) expect(start).toBeGreaterThan(0);
      left -= count - 1;
    }
    expect(left).toBe(1);
  });
  fc.assert(property, { seed: 6, numRuns: 200 });
  const large = [
    { kind: 'base' as const, bytes: 100 * 2 ** 20 },
    { kind: 'delta' as const, bytes: 1 },
  ];
  expect(planSteps(large, { strategy: 'optimal', threadsMax: 8 }).threads).toBe(4);
});
