import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Entry } from '../../src/snapshot/entry.ts';
import { operatorIds, ops, reservedTables } from '../../src/snapshot/entry-format.ts';
import { Image, setProbe } from '../../src/snapshot/image.ts';
import { slicesCursor } from '../../src/snapshot/log-fold.ts';
import { MergeIterator } from '../../src/snapshot/merge-iterator.ts';
import {
  overlaps,
  partOf,
  planRanges,
  wholeRange,
  type MergeRange,
} from '../../src/snapshot/merge-ranges.ts';
import { patchOfObject } from '../../src/snapshot/patch.ts';
import { PointFold } from '../../src/snapshot/point-fold.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { SliceCursor } from '../../src/snapshot/slice-cursor.ts';
import { Slice, type SliceDescriptor } from '../../src/snapshot/slice.ts';
import { OlderChain } from '../../src/snapshot/unchanged.ts';
import { int64, toBytes, type Change, type Commit } from './log-builder.ts';
import { encodeValue, Model } from './model.ts';
import {
  describeEntry,
  runOf,
  slicesByRuns,
  slicesOf,
  sliceTexts,
  viewOf,
  type HashOf,
} from './runs.ts';

const MAPS = 16;
const COUNTERS = 17;
const LISTS = 18;
const LOWS = 19;
const HIGHS = 20;
const VALUES = 21;
const KEYS = ['a', 'b', 'ab', 'b\u0000'];
const itemsMax = new Map([[LISTS, 2]]);
const groupBits = 2;
const rules = [{ table: LISTS, itemsMax: 2 }];

/** Keys fall into two hashes, or all into one. */
const hashes: Record<string, HashOf> = {
  two: (key) => (key.length % 2 === 0 ? 0x9000_0000 : 0x9000_0001),
  one: () => 0x4000_0000,
  spread: (key) => Math.imul(key[0]! * 31 + key.length, 0x9e37_79b1) >>> 0,
};

const keyArbitrary = fc.constantFrom(...KEYS);
/** Relative to the commit: 0 for none; some expire before the next commit, some much later. */
const ttl = fc.constantFrom(0, 0, 0, 1, 3, 8, 30, 200);

interface Draft extends Change {
  readonly ttl: number;
}

const mapDraft: fc.Arbitrary<Draft> = fc.record({
  table: fc.constant(MAPS),
  op: fc.constantFrom(ops.put, ops.put, ops.delete),
  key: keyArbitrary,
  subKey: fc.constantFrom(undefined, '', 'x', 'y'),
  value: fc.constantFrom('', '1', 'long value'),
  ttl,
  eventTime: fc.constantFrom(0, 5),
});

const counterDraft: fc.Arbitrary<Draft> = fc.record({
  table: fc.constant(COUNTERS),
  op: fc.constantFrom(ops.merge, ops.merge, ops.merge, ops.put, ops.delete),
  operator: fc.constant(operatorIds.add),
  key: keyArbitrary,
  value: fc.constantFrom(1, -1, 5, 0x1_0000_0000, -(2 ** 40)).map(int64),
  ttl,
});

const listDraft: fc.Arbitrary<Draft> = fc.record({
  table: fc.constant(LISTS),
  op: fc.constant(ops.put),
  key: keyArbitrary,
  value: fc.constantFrom('i', 'item'),
  ttl,
});

const chunkDraft: fc.Arbitrary<Draft> = fc.record({
  table: fc.constant(reservedTables.chunks),
  op: fc.constant(ops.merge),
  operator: fc.constant(operatorIds.chunk),
  key: keyArbitrary,
  value: fc.constantFrom(1, 2, -1).map(int64),
  ttl: fc.constant(0),
});

/** Many are equal and of two types, so that what stays of equal ones shows. */
const numbersOfAll = [1, 1n, 1, 1n, 2, 2n, 0, -0, 2 ** 53, 2n ** 53n + 1n, -1.5, -(2n ** 70n)];

const extremeDraft = (table: number, operator: number): fc.Arbitrary<Draft> =>
  fc.record({
    table: fc.constant(table),
    op: fc.constantFrom(ops.merge, ops.merge, ops.merge, ops.put, ops.delete),
    operator: fc.constant(operator),
    key: keyArbitrary,
    value: fc.constantFrom(...numbersOfAll).map(encodeValue),
    ttl,
  });
const lowDraft = extremeDraft(LOWS, operatorIds.min);
const highDraft = extremeDraft(HIGHS, operatorIds.max);

/** Patches, and values that are patched: few names, so that they meet. */
const leaf = fc.constantFrom<unknown>(null, 0, 'text', [{ b: 1, a: null }], new Map([['b', null]]));
const patchable = fc.letrec<{ object: Record<string, unknown>; field: unknown }>((tie) => ({
  object: fc.dictionary(fc.constantFrom('b', 'a', '10', '9', 'é', '__proto__'), tie('field'), {
    maxKeys: 3,
    noNullPrototype: true,
  }),
  field: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('object')),
}));

const patchDraft: fc.Arbitrary<Draft> = fc.oneof(
  fc.record({
    table: fc.constant(VALUES),
    op: fc.constant(ops.merge),
    operator: fc.constant(operatorIds.patch),
    key: keyArbitrary,
    value: patchable.object.map((object) => patchOfObject(encodeValue(object))),
    ttl,
  }),
  fc.record({
    table: fc.constant(VALUES),
    op: fc.constantFrom(ops.put, ops.put, ops.delete),
    key: keyArbitrary,
    value: patchable.field.map(encodeValue),
    ttl,
  }),
);

const clearDraft: fc.Arbitrary<Draft> = fc.record({
  table: fc.constantFrom(MAPS, COUNTERS, LISTS, LOWS, HIGHS, VALUES),
  op: fc.constantFrom(ops.clearKey, ops.clearKey, ops.clearTable),
  key: keyArbitrary,
  ttl: fc.constant(0),
});

const anyDraft = fc.oneof(
  { weight: 6, arbitrary: mapDraft },
  { weight: 6, arbitrary: counterDraft },
  { weight: 4, arbitrary: listDraft },
  { weight: 3, arbitrary: chunkDraft },
  { weight: 2, arbitrary: lowDraft },
  { weight: 2, arbitrary: highDraft },
  { weight: 4, arbitrary: patchDraft },
  { weight: 2, arbitrary: clearDraft },
);

const wait = fc.integer({ min: 1, max: 6 });
const wide = fc.array(fc.record({ wait, drafts: fc.array(anyDraft, { maxLength: 4 }) }), {
  minLength: 1,
  maxLength: 24,
});
/** One key that every commit changes, so that rules about two and three entries meet often. */
const narrow = (draft: fc.Arbitrary<Draft>): typeof wide => {
  const change = draft.map((one) => ({ ...one, key: 'a', subKey: undefined }));
  const drafts = fc.tuple(change);
  return fc.array(fc.record({ wait, drafts }), { minLength: 2, maxLength: 12 });
};
const history = fc.oneof(
  wide,
  ...[counterDraft, listDraft, mapDraft, lowDraft, highDraft, patchDraft, patchDraft].map(narrow),
);

/** Few keys and values, so that the same is often written again, or deleted where it is not. */
const rewriteDraft: fc.Arbitrary<Draft> = fc.record({
  table: fc.constant(MAPS),
  op: fc.constantFrom(ops.put, ops.put, ops.put, ops.delete),
  key: fc.constantFrom('a', 'b', 'ab'),
  subKey: fc.constantFrom(undefined, 'x'),
  value: fc.constantFrom('1', '2'),
  ttl: fc.constantFrom(0, 0, 0, 0, 8),
});
const rewriting = fc.array(
  fc.record({
    wait,
    drafts: fc.array(
      fc.oneof(
        { weight: 9, arbitrary: rewriteDraft },
        { weight: 1, arbitrary: anyDraft },
        { weight: 1, arbitrary: clearDraft },
      ),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  { minLength: 4, maxLength: 20 },
);
const rewritten = fc.oneof(history, { weight: 3, arbitrary: rewriting });

/** Makes drafts into commits that an engine can write: clears first, each key once. */
function commitsOf(drafts: readonly { wait: number; drafts: readonly Draft[] }[]): Commit[] {
  const model = new Model();
  let timestamp = 0;
  return drafts.map(({ wait, drafts: changes }, i) => {
    timestamp += wait;
    const seen = new Set<string>();
    const taken: Change[] = [];
    const clearsFirst = changes.toSorted((a, b) => Number(b.op > 3) - Number(a.op > 3));
    for (const [ordinal, { ttl, ...change }] of clearsFirst.entries()) {
      const legal = legalChange(change, model, { lsn: i + 1, ordinal });
      const expiry = ttl === 0 || change.op === ops.delete ? 0 : timestamp + ttl;
      const name = JSON.stringify([legal.table, legal.op > 3, legal.key, legal.subKey ?? null]);
      if (seen.has(name)) continue;
      seen.add(name);
      taken.push({ ...legal, expiry });
    }
    const commit = { timestamp, changes: taken };
    model.apply(commit);
    return commit;
  });
}

function legalChange(
  change: Change,
  model: Model,
  place: { lsn: number; ordinal: number },
): Change {
  if (change.op === ops.clearTable) return { ...change, key: '' };
  if (change.op === ops.clearKey) return change;
  if (change.table === LISTS) {
    const subKey = Buffer.alloc(12);
    subKey.writeBigUInt64BE(BigInt(place.lsn), 0);
    subKey.writeUInt32BE(place.ordinal, 8);
    return { ...change, subKey };
  }
  if (change.op === ops.put || change.op === ops.delete) return { ...change, operator: 0 };
  if (change.table !== reservedTables.chunks) return change;
  // A chunk is never released more often than it was taken, and taking it brings its content.
  const delta = Buffer.from(change.value as Uint8Array).readBigInt64LE(0);
  const legal = model.count(change) + delta < 0n ? 1n : delta;
  const content = legal > 0n ? toBytes(`content of ${change.key}`) : new Uint8Array(0);
  return { ...change, value: Buffer.concat([int64(legal), content]) };
}

interface Part {
  readonly slices: SliceDescriptor[];
  readonly lastTimestamp: number;
}

function mergeParts(parts: readonly Part[], base: boolean): Part {
  const { lastTimestamp } = parts.at(-1)!;
  const inputs = parts.map((part) => slicesCursor(part.slices));
  const merge = new MergeIterator(inputs, { base, lastTimestamp, rules, groupBits });
  return { slices: slicesByRuns(merge), lastTimestamp };
}

/** Merges deltas behind others into one without what changes nothing there. */
function deduplicated(parts: readonly Part[], below: readonly Part[]): Part {
  const { lastTimestamp } = parts.at(-1)!;
  const older = new OlderChain(
    below.map((part) => part.slices),
    groupBits,
  );
  const inputs = parts.map((part) => slicesCursor(part.slices));
  const options = { base: false, lastTimestamp, rules, groupBits, older };
  return { slices: slicesByRuns(new MergeIterator(inputs, options)), lastTimestamp };
}

const entryCount = ({ slices }: Part): number =>
  slices.reduce((sum, slice) => sum + slice.entryCount, 0);

/** Without LSN and timestamp of the commit that wrote it. */
const stateOf = (texts: readonly string[]): string[] =>
  texts
    .map((text) => text.split(' '))
    .map((fields) => [...fields.slice(0, 3), ...fields.slice(5)].join(' '))
    .sort();

/** Deltas of a log that is split at the given places. */
function deltasOf(commits: readonly Commit[], cuts: readonly number[], hashOf: HashOf): Part[] {
  const borders = [...new Set(cuts.map((cut) => cut % commits.length)), 0, commits.length];
  const sorted = [...new Set(borders)].sort((a, b) => a - b);
  return sorted.slice(1).map((end, i) => {
    const part = commits.slice(sorted[i], end);
    const { timestamp: lastTimestamp } = part.at(-1)!;
    const run = runOf(part, sorted[i]! + 1, { hashOf, groupBits });
    const merge = new MergeIterator([run], { base: false, lastTimestamp, rules, groupBits });
    return { slices: slicesOf(merge), lastTimestamp };
  });
}

/** Merges neighbours in the order that the choices say; a base where the oldest takes part. */
function compact(parts: Part[], choices: readonly number[]): Part[] {
  let chain = parts;
  for (const choice of choices) {
    if (chain.length < 2) break;
    const at = (choice >> 1) % (chain.length - 1);
    const base = at === 0 && choice % 2 === 1;
    const merged = mergeParts(chain.slice(at, at + 2), base);
    chain = [...chain.slice(0, at), merged, ...chain.slice(at + 2)];
  }
  return chain;
}

function lookups(parts: readonly Part[], time: number, hashOf: HashOf): string[] {
  const options = { slabs: new SlabPool(0), groupBits };
  const images = parts.map((part) => new Image(part.slices, options)).reverse();
  const probe = new Entry();
  const fold = new PointFold();
  const found: string[] = [];
  for (const table of [MAPS, COUNTERS, LOWS, HIGHS, VALUES, reservedTables.chunks]) {
    for (const key of KEYS) {
      for (const subKey of [undefined, '', 'x', 'y']) {
        const bytes = toBytes(key + (subKey ?? ''));
        const end = toBytes(key).length;
        const subKeyEnd = subKey === undefined ? undefined : bytes.length;
        const hash = hashOf(toBytes(key));
        setProbe(probe, table, hash, { bytes, start: 0, end, subKeyEnd });
        fold.reset();
        for (const image of images) if (image.collect(probe, fold)) break;
        if (fold.settle(time)) found.push(describeEntry(fold.entry));
      }
    }
  }
  return found.sort();
}

const numbers = fc.array(fc.nat({ max: 1000 }), { maxLength: 8 });
const parameters = { seed: 20250731, numRuns: 400 };

describe.each(Object.keys(hashes))('keys with %s hashes', (name) => {
  const hashOf = hashes[name]!;

  test('any chain of any compaction: the state is that of the replayed log at every later time', () => {
    const property = fc.property(history, numbers, numbers, (drafts, cuts, choices) => {
      const commits = commitsOf(drafts);
      const model = new Model();
      for (const commit of commits) model.apply(commit);
      const end = commits.at(-1)!.timestamp;
      const chain = compact(deltasOf(commits, cuts, hashOf), choices);
      for (const time of [end, end + 1, end + 4, end + 12, end + 1000]) {
        const expected = model.view(time, itemsMax);
        const inputs = chain.map((part) => slicesCursor(part.slices));
        expect(viewOf(inputs, time, { rules, groupBits })).toEqual(expected);
        const found = lookups(chain, time, hashOf);
        expect(found).toEqual(expected.filter((text) => !text.startsWith(`${LISTS} `)));
      }
    });
    fc.assert(property, parameters);
  });

  test('bases of the same commits: the bytes are the same whatever was merged on the way', () => {
    const property = fc.property(history, numbers, numbers, (drafts, cuts, choices) => {
      const commits = commitsOf(drafts);
      const direct = mergeParts(deltasOf(commits, [], hashOf), true);
      const chain = compact(deltasOf(commits, cuts, hashOf), choices);
      expect(sliceTexts(mergeParts(chain, true).slices)).toEqual(sliceTexts(direct.slices));
    });
    fc.assert(property, parameters);
  });

  test('entries taken in runs: the slices are those of entries taken one by one', () => {
    const sizes = fc.constantFrom(1, 150, 256, 4096);
    const property = fc.property(
      history,
      numbers,
      fc.boolean(),
      sizes,
      (drafts, cuts, base, size) => {
        const commits = commitsOf(drafts);
        const parts = deltasOf(commits, cuts, hashOf);
        // Some time behind the last commit, when more of it has expired.
        const lastTimestamp = commits.at(-1)!.timestamp + (size === 256 ? 5 : 0);
        const merge = (): MergeIterator => {
          const inputs = parts.map((part) => slicesCursor(part.slices));
          return new MergeIterator(inputs, { base, lastTimestamp, rules, groupBits });
        };
        const slices = sliceTexts(slicesByRuns(merge(), size));
        expect(slices).toEqual(sliceTexts(slicesOf(merge(), size)));
      },
    );
    fc.assert(property, parameters);
  });

  test('a merge in ranges: joined, they are what one merge gives', () => {
    let cut = 0;
    const targets = fc.constantFrom(1, 100, 500);
    const property = fc.property(
      history,
      numbers,
      fc.boolean(),
      targets,
      (drafts, cuts, base, target) => {
        const commits = commitsOf(drafts);
        const parts = deltasOf(commits, cuts, hashOf);
        const { lastTimestamp } = parts.at(-1)!;
        const options = { base, lastTimestamp, rules, groupBits };
        const spans = parts.flatMap((part) => part.slices);
        const ranges = planRanges(spans, groupBits, target);
        cut += ranges.length - 1;
        const entriesOf = (range: MergeRange): string[] => {
          const inputs = parts.map(({ slices }) => {
            const own = slices.filter((slice) => overlaps(slice, range));
            return new SliceCursor(own.map((slice) => partOf(new Slice(slice), range)));
          });
          const merge = new MergeIterator(inputs, options);
          const entries: string[] = [];
          while (merge.next()) entries.push(`${merge.op} ${merge.hash} ${describeEntry(merge)}`);
          return entries;
        };
        expect(ranges.flatMap(entriesOf)).toEqual(entriesOf(wholeRange));
      },
    );
    fc.assert(property, parameters);
    expect(cut).toBeGreaterThan(100);
  });

  test('deltas without what changes nothing below: any chain has the same state at any time', () => {
    let left = 0;
    const property = fc.property(
      rewritten,
      numbers,
      numbers,
      numbers,
      (drafts, cuts, first, then) => {
        const commits = commitsOf(drafts);
        const whole = deltasOf(commits, cuts, hashOf);
        // Below a delta there is any chain of the commits before it, itself deduplicated or not.
        const at = (first[0] ?? 1) % whole.length;
        const end = at + 1 + ((first[1] ?? 0) % (whole.length - at));
        const below = compact(whole.slice(0, at), first);
        const run = whole.slice(at, end);
        const lean = at === 0 ? mergeParts(run, false) : deduplicated(run, below);
        left += entryCount(mergeParts(run, false)) - entryCount(lean);
        // What is below, and what is behind, may be merged in other ways afterwards.
        const otherBelow = compact(below, then);
        const chain = compact([...otherBelow, lean, ...whole.slice(end)], then);
        const { timestamp } = commits.at(-1)!;
        for (const time of [timestamp, timestamp + 2, timestamp + 12, timestamp + 1000]) {
          const view = (parts: readonly Part[]): string[] => {
            const inputs = parts.map((part) => slicesCursor(part.slices));
            return stateOf(viewOf(inputs, time, { rules, groupBits }));
          };
          expect(view(chain)).toEqual(view(whole));
        }
      },
    );
    fc.assert(property, parameters);
    expect(left).toBeGreaterThan(50);
  });

  test('a snapshot sliced by key group: joining the parts gives it back', () => {
    const property = fc.property(history, fc.boolean(), (drafts, base) => {
      const commits = commitsOf(drafts);
      const { slices, lastTimestamp } = mergeParts(deltasOf(commits, [], hashOf), base);
      const image = new Image(slices, { slabs: new SlabPool(0), groupBits });
      const options = { base, lastTimestamp, rules, groupBits };
      const whole = new MergeIterator([image.cursor()], options);
      const parts = [0, 1, 2, 3].map((group) => {
        const ranges = [reservedTables.chunks, MAPS, COUNTERS, LISTS, LOWS, HIGHS, VALUES];
        const cursors = ranges.map((table) =>
          image.cursor({
            table,
            firstHash: group * 2 ** 30,
            lastHash: group * 2 ** 30 + 2 ** 30 - 1,
          }),
        );
        return { slices: slicesOf(new MergeIterator(cursors, options)), lastTimestamp };
      });
      // Parts are disjoint, so that which is called older does not matter.
      const joined = new MergeIterator(
        parts.toReversed().map((part) => slicesCursor(part.slices)),
        options,
      );
      expect(sliceTexts(slicesOf(joined))).toEqual(sliceTexts(slicesOf(whole)));
    });
    fc.assert(property, parameters);
  });
});
