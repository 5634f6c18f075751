import { describe, expect, test } from 'vitest';
import { Entry } from '../../src/snapshot/entry.ts';
import { ops } from '../../src/snapshot/entry-format.ts';
import { setProbe } from '../../src/snapshot/image.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { SliceBuilder } from '../../src/snapshot/slice-builder.ts';
import { findSliceFault } from '../../src/snapshot/slice-check.ts';
import { bucketsOf, Slice, sliceLayout, type SliceDescriptor } from '../../src/snapshot/slice.ts';
import { Turns } from '../../src/snapshot/task-context.ts';
import { hashBytes } from '../../src/codec/hash.ts';
import { writeU32 } from '../../src/std/bytes.ts';
import { put, toBytes, type Change } from './log-builder.ts';
import { describeEntry, runOf, sliceTexts, slicesOf, type HashOf } from './runs.ts';

const seed = { low: 7, high: 9 };
const keyed: HashOf = (key) => hashBytes(key, 0, key.length, seed);
const turns = new Turns({ yieldNow: async () => {}, cancelled: () => false });

function build(changes: Change[], hashOf: HashOf, sliceBytesMax = 1 << 24): SliceDescriptor[] {
  const commit = { timestamp: 1, changes };
  return slicesOf(runOf([commit], 1, { hashOf, groupBits: 2 }), sliceBytesMax);
}

function probeOf(hashOf: HashOf, key: string, subKey?: string): Entry {
  const bytes = toBytes(key + (subKey ?? ''));
  const end = toBytes(key).length;
  const subKeyEnd = subKey === undefined ? undefined : bytes.length;
  const probe = new Entry();
  setProbe(probe, 16, hashOf(toBytes(key)), { bytes, start: 0, end, subKeyEnd });
  return probe;
}

const collisions: [string, HashOf][] = [
  ['keyed hashes', keyed],
  ['all keys with one hash', () => 0xffff_fff0],
  ['hashes at both ends', (key) => (key.at(-1)! % 2 === 0 ? 0 : 0xffff_ffff)],
];

describe.each(collisions)('%s', (_, hashOf) => {
  const changes = Array.from({ length: 3000 }, (_, i) => put(16, `key${i}`, `${i}`));
  const [descriptor] = build(changes, hashOf);
  const slice = new Slice(descriptor!);

  test('every key: it is found, and what is not there is not', () => {
    const found = new Entry();
    for (let i = 0; i < 3000; i++) {
      const index = slice.find(probeOf(hashOf, `key${i}`));
      expect(index).toBeGreaterThanOrEqual(0);
      slice.read(index, found);
      expect(Buffer.from(found.bytes.slice(found.subKeyEnd, found.valueEnd)).toString()).toBe(
        `${i}`,
      );
    }
    for (const [key, subKey] of [
      ['key', ''],
      ['key3000', undefined],
      ['key1', ''],
    ] as const) {
      expect(slice.find(probeOf(hashOf, key, subKey))).toBe(-1);
    }
  });

  test('the range of a key: one entry, or none where the key would stand', () => {
    const probe = probeOf(hashOf, 'key77');
    expect(slice.keyStart(probe)).toBe(slice.find(probe));
    expect(slice.keyEnd(probe)).toBe(slice.find(probe) + 1);
    const missing = probeOf(hashOf, 'key77x');
    expect(slice.keyStart(missing)).toBe(slice.keyEnd(missing));
  });

  test('the first entry at or above a hash: that of a scan', () => {
    const hashes = [...slice.hashes];
    for (const hash of [0, 1, hashes[0]!, hashes[1500]!, hashes[1500]! + 1, 0xffff_ffff]) {
      const expected = hashes.findIndex((one) => one >= hash);
      expect(slice.hashStart(hash)).toBe(expected < 0 ? hashes.length : expected);
    }
  });
});

describe('a hot key', () => {
  const changes = [
    { table: 16, op: ops.clearKey, key: 'hot' },
    put(16, 'hot', 'plain'),
    ...Array.from({ length: 5000 }, (_, i) =>
      put(16, 'hot', `${i}`, { subKey: String(i).padStart(5, '0') }),
    ),
    put(16, 'cold', '1'),
  ];

  test('its sub-keys, its clear and its plain entry: each is found', () => {
    const slice = new Slice(build(changes, keyed)[0]!);
    const clear = probeOf(keyed, 'hot');
    const start = slice.keyStart(clear);
    expect(slice.keyEnd(clear) - start).toBe(5002);
    expect(slice.find(clear)).toBe(start + 1);
    clear.op = ops.clearKey;
    expect(slice.find(clear)).toBe(start);
    expect(slice.find(probeOf(keyed, 'hot', '04321'))).toBe(start + 2 + 4321);
    expect(slice.find(probeOf(keyed, 'hot', '4321'))).toBe(-1);
  });

  test('too large for one slice: it is cut between entries, and each part is in order', async () => {
    const slices = build(changes, keyed, 4096);
    expect(slices.length).toBeGreaterThan(40);
    expect(slices.every((slice) => slice.dataBytes <= 4096)).toBe(true);
    expect(slices.reduce((sum, slice) => sum + slice.entryCount, 0)).toBe(5003);
    for (const slice of slices) expect(await findSliceFault(slice, seed, turns)).toBeUndefined();
  });
});

describe('cutting', () => {
  test('two tables: a slice each', () => {
    const slices = build([put(16, 'a', '1'), put(17, 'a', '1'), put(16, 'b', '1')], keyed);
    expect(slices.map(({ table, entryCount }) => [table, entryCount])).toEqual([
      [16, 2],
      [17, 1],
    ]);
  });

  test('an entry larger than a slice may be: it gets one of its own', () => {
    const slices = build([put(16, 'a', 'x'.repeat(5000)), put(16, 'b', '1')], keyed, 1000);
    expect(slices.map((slice) => slice.entryCount)).toEqual([1, 1]);
  });

  test('the same entries: the same slices, whatever was built before', () => {
    const builder = new SliceBuilder(new SlabPool(1 << 20), 1 << 16, 1 << 18);
    const once = (): SliceDescriptor => {
      const run = runOf([{ timestamp: 1, changes: [put(16, 'a', 'abc')] }], 1, {
        hashOf: keyed,
        groupBits: 2,
      });
      while (run.next()) builder.append(run);
      return builder.finish()!;
    };
    const [first, second] = [once(), once()];
    expect(sliceTexts([second])).toEqual(sliceTexts([first]));
    expect(builder.finish()).toBeUndefined();
  });

  test('all fields of an entry: they come back as they were', () => {
    const run = runOf(
      [
        {
          timestamp: 2 ** 52,
          changes: [put(16, 'a', 'v', { expiry: 2 ** 52 + 9, eventTime: 5, subKey: '' })],
        },
      ],
      2 ** 50,
      { hashOf: keyed, groupBits: 2 },
    );
    run.next();
    run.firstTimestamp = 77;
    const before = { hash: run.hash, op: run.op, text: describeEntry(run) };
    const builder = new SliceBuilder(new SlabPool(0), 4096, 0);
    builder.append(run);
    const entry = new Entry();
    new Slice(builder.finish()!).read(0, entry);
    expect(describeEntry(entry)).toBe(before.text);
    expect(entry).toMatchObject({ hash: before.hash, firstTimestamp: 77, op: before.op });
  });

  test('buckets: between 8 and 16 entries each for hashes that are spread', () => {
    for (const count of [100, 1000, 100_000]) {
      const { bucketCount } = bucketsOf(count, 0, 0xffff_ffff);
      expect(count / bucketCount).toBeGreaterThanOrEqual(8);
      expect(count / bucketCount).toBeLessThanOrEqual(16);
    }
    expect(bucketsOf(1000, 5, 5)).toEqual({ bucketShift: 0, bucketCount: 1 });
  });
});

describe('a slice that is not what it says', () => {
  const changes = Array.from({ length: 40 }, (_, i) => put(16, `key${i}`, 'value'));

  /** Damages a fresh slice and returns what full verification says. */
  async function faultOf(
    damage: (bytes: Uint8Array, slice: Slice) => Partial<SliceDescriptor> | void,
  ): Promise<string | undefined> {
    const [descriptor] = build(changes, keyed);
    const slice = new Slice(descriptor!);
    const changed = damage(new Uint8Array(descriptor!.buffer), slice) ?? {};
    return (await findSliceFault({ ...descriptor!, ...changed }, seed, turns))?.what;
  }

  test('nothing is damaged: no fault', async () => {
    expect(await faultOf(() => {})).toBeUndefined();
  });

  test.each<[string, Parameters<typeof faultOf>[0], string]>([
    ['an entry past the end', (bytes) => writeU32(bytes, 0, 1 << 20), 'has 1048576 bytes'],
    ['an entry of no size', (bytes) => writeU32(bytes, 0, 0), 'has 0 bytes'],
    ['entries that are cut short', () => ({ dataBytes: 20 }), 'is cut short'],
    ['an unknown op', (bytes) => void (bytes[24] = 6), 'has op 6'],
    ['unknown flags', (bytes) => void (bytes[26] = 16), 'has reserved bits set'],
    ['a reserved byte', (bytes) => void (bytes[27] = 1), 'has reserved bits set'],
    ['an LSN above 2^53', (bytes) => void (bytes[15] = 1), 'has an LSN out of range'],
    ['a timestamp above 2^53', (bytes) => void (bytes[23] = 1), 'has a timestamp out of range'],
    ['a key past its end', (bytes) => void (bytes[29] = 1), 'has keys past its end'],
    ['no key', (bytes) => void (bytes[28] = 0), 'has op 1 and 0 key bytes'],
    ['a sub-key unannounced', (bytes) => void (bytes[30] = 1), 'has a sub-key unannounced'],
    [
      'an expiry above 2^53',
      (bytes) => {
        bytes[26] = 2;
        bytes[28] = 1;
        bytes.fill(0xff, 32, 40);
      },
      'has a time out of range',
    ],
    [
      'an expiry of 0',
      (bytes) => {
        bytes[26] = 2;
        bytes[28] = 1;
        bytes.fill(0, 32, 40);
      },
      'has a time that is none',
    ],
    ['a pointer elsewhere', (_, slice) => void (slice.pointers[3]! += 1), 'the index points'],
    ['another hash in the index', (_, slice) => void (slice.hashes[3]! += 1), 'another hash'],
    ['another key', (bytes) => void (bytes[32]! ^= 1), 'has a hash that is not its key’s'],
    [
      'a table that has clears by its flags only',
      () => ({ hasKeyClears: true }),
      'has other clears than its flags say',
    ],
    [
      'a range that starts elsewhere',
      (_, { descriptor }) => ({ firstHash: descriptor.firstHash - 1 }),
      'has other hashes than its range says',
    ],
    ['a directory that skips', (_, slice) => void (slice.directory[1]! += 1), 'wrong directory'],
    [
      'a directory that ends elsewhere',
      (_, slice) => void (slice.directory[slice.directory.length - 1]! -= 1),
      'wrong directory',
    ],
  ])('%s: the fault says so', async (_, damage, what) => {
    expect(await faultOf(damage)).toContain(what);
  });

  test('two entries that changed places: out of order', async () => {
    const same = (): number => 5;
    const [descriptor] = build([put(16, 'a', '1'), put(16, 'b', '2')], same);
    const bytes = new Uint8Array(descriptor!.buffer);
    // The hash of a key is checked before the order, so the second key becomes the first again.
    const index = bytes.findIndex((byte, at) => at > 33 && byte === 0x62);
    bytes[index] = 0x61;
    const real = hashBytes(toBytes('a'), 0, 1, seed);
    const slice = new Slice(descriptor!);
    slice.hashes.fill(real);
    for (const at of slice.pointers) writeU32(bytes, at + 4, real);
    const ranged = { ...descriptor!, firstHash: real, lastHash: real };
    expect((await findSliceFault(ranged, seed, turns))?.what).toBe('entry 1 is out of order');
  });

  test('bytes behind the last entry: the fault says so', async () => {
    const [descriptor] = build(changes, keyed);
    const shorter = { ...descriptor!, entryCount: 39 };
    const layout = sliceLayout(shorter.dataBytes, 39, shorter.bucketCount);
    const source = new Slice(descriptor!);
    const buffer = new SharedArrayBuffer(layout.totalBytes);
    new Uint8Array(buffer).set(source.bytes);
    new Uint32Array(buffer, layout.hashesAt, 39).set(source.hashes.subarray(0, 39));
    new Uint32Array(buffer, layout.pointersAt, 39).set(source.pointers.subarray(0, 39));
    const fault = await findSliceFault({ ...shorter, buffer }, seed, turns);
    expect(fault?.what).toBe('has bytes behind its last entry');
  });
});
