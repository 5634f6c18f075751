/*
 * Bugs that are put into the sources one at a time: for each a test has to fail, or the tests do not
 * hold what they say. Each is a text that stands once in a file, and what takes its place; it has to
 * compile. `npm run mutants` tries them all; that the list fits the sources is tested by itself.
 */

/** A bug, and who has to find it. */
export interface Mutant {
  readonly name: string;
  /** Rules that it breaks. */
  readonly rule: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Test files of which one has to fail. */
  readonly tests: readonly string[];
}

export const mutants: readonly Mutant[] = [
  {
    name: 'acknowledged before the sync',
    rule: 'L9',
    file: 'src/wal/log-output.ts',
    from: '    await this.#handle.sync();\n    this.counts.syncs++;\n    this.#durable = end;\n',
    to: '    this.counts.syncs++;\n    this.#durable = end;\n',
    tests: ['test/wal/durability.test.ts', 'test/wal/poison.test.ts'],
  },
  {
    name: 'a failed sync is tried again',
    rule: 'L11',
    file: 'src/wal/log-output.ts',
    from: '    await this.#handle.sync();\n    this.counts.syncs++;\n    this.#durable = end;\n',
    to: '    await this.#handle.sync().catch(() => this.#handle.sync());\n    this.counts.syncs++;\n    this.#durable = end;\n',
    tests: ['test/faults/failed-sync.test.ts'],
  },
  {
    name: 'written through while earlier writes are not synced',
    rule: 'L9',
    file: 'src/wal/log-output.ts',
    from: 'const durable = through && !this.#unsynced;',
    to: 'const durable = through;',
    tests: ['test/wal/property.test.ts'],
  },
  {
    name: 'rotation without a sync of the directory',
    rule: 'L2',
    file: 'src/wal/log-output.ts',
    from: '      await fs.rename(temporary, path);\n      await fs.syncDirectory(directory);\n',
    to: '      await fs.rename(temporary, path);\n',
    tests: ['test/wal/rotation.test.ts'],
  },
  {
    name: 'rotation before the header is synced',
    rule: 'L2',
    file: 'src/wal/log-output.ts',
    from: '      await this.#handle.sync();\n      await fs.rename(temporary, path);\n',
    to: '      await fs.rename(temporary, path);\n',
    tests: ['test/wal/rotation.test.ts'],
  },
  {
    name: 'an opening without a sync of the directory',
    rule: 'O3',
    file: 'src/wal/opening-segment.ts',
    from: '    await fs.rename(temporary, path);\n    await fs.syncDirectory(directory);\n',
    to: '    await fs.rename(temporary, path);\n',
    tests: ['test/wal/opening.test.ts'],
  },
  {
    name: 'the epoch is not raised',
    rule: 'O3',
    file: 'src/wal/opening-segment.ts',
    from: 'Math.max(plan.epochMax, input.epochKnown ?? 0, epoch) + 1',
    to: 'Math.max(plan.epochMax, input.epochKnown ?? 0, epoch, 1)',
    tests: ['test/wal/opening.test.ts'],
  },
  {
    name: 'the checksum of a group is not looked at',
    rule: 'L4',
    file: 'src/wal/group-body.ts',
    from: 'if (checksum(bytes, start, end) !== header.bodyCrc)',
    to: 'if (checksum(bytes, start, end) !== header.bodyCrc && end < 0)',
    tests: ['test/snapshot/log-run.test.ts'],
  },
  {
    name: 'the salt is not looked at',
    rule: 'L4',
    file: 'src/wal/group-format.ts',
    from: '  seedInput.set(salt, 0);\n',
    to: '  seedInput.set(salt.subarray(8), 0);\n',
    tests: ['test/wal/group-format.test.ts', 'test/wal/golden.test.ts'],
  },
  {
    name: 'segments go before the low-water record is put',
    rule: 'R2',
    file: 'src/wal/trim-segments.ts',
    from: '  await writeLowWater(fs, directory, lowWater);\n  hooks.forget(lowWater.segment);\n',
    to: '  hooks.forget(lowWater.segment);\n  await Promise.all(segments.map(({ name }) => fs.unlink(`${directory}/${name}`)));\n  await writeLowWater(fs, directory, lowWater);\n',
    tests: ['test/wal/trim.test.ts', 'test/wal/trim-segments.test.ts'],
  },
  {
    name: 'a name without a sync of the directory',
    rule: 'R2, O1',
    file: 'src/fs/replace-file.ts',
    from: '  await fs.rename(temporary, `${directory}/${name}`);\n  await fs.syncDirectory(directory);\n',
    to: '  await fs.rename(temporary, `${directory}/${name}`);\n',
    tests: ['test/wal/trim.test.ts', 'test/wal/log-mark.test.ts', 'test/wal/trim-segments.test.ts'],
  },
  {
    name: 'an operand at or behind an expiry folds all the same',
    rule: 'E4',
    file: 'src/snapshot/fold.ts',
    from: 'return older.expiry !== 0 && older.expiry <= firstTimestampOf(newer);',
    to: 'return older.expiry !== 0 && older.expiry < firstTimestampOf(newer);',
    tests: ['test/snapshot/fold.test.ts', 'test/snapshot/laws.test.ts'],
  },
  {
    name: 'the tombstone of what has expired is left out',
    rule: 'E2, E4',
    file: 'src/snapshot/fold.ts',
    from: '  if (entry.expiry === 0 || entry.expiry > lastTimestamp) return;\n  entry.op = ops.delete;\n',
    to: '  if (entry.expiry === 0 || entry.expiry > lastTimestamp + 1) return;\n  entry.op = ops.delete;\n',
    tests: ['test/snapshot/fold.test.ts', 'test/snapshot/laws.test.ts'],
  },
  {
    name: 'the checksum of a block is not looked at',
    rule: 'C4',
    file: 'src/snapshot/block-places.ts',
    from: '  const actual = checksum(stored);\n',
    to: '  const actual = stored.length === 0 ? 0 : block.crc;\n',
    tests: ['test/recovery/verification.test.ts'],
  },
];
