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
  {
    name: 'what stands behind damage is kept',
    rule: 'L7',
    file: 'src/wal/segment-scan.ts',
    from: "    if (typeof body === 'string') return this.#stop(body);\n",
    to: "    if (typeof body === 'string') {\n      const { bodyBytes, recordCount } = header;\n      const behind = offset + groupBytes(bodyBytes);\n      this.border = { offset: behind, lsn: lsn + recordCount, chain: header.chain };\n      return this.next();\n    }\n",
    tests: ['test/wal/damage.test.ts'],
  },
  {
    name: 'damage at or below the proof is cut',
    rule: 'L7',
    file: 'src/wal/log-opening.ts',
    from: 'if (scan.proved > scan.end.lsn) {',
    to: 'if (scan.proved > scan.end.lsn + (scan.damage ? Number.MAX_SAFE_INTEGER : 0)) {',
    tests: ['test/wal/damage.test.ts'],
  },
  {
    name: 'the end of a cut segment is named too far',
    rule: 'L3',
    file: 'src/wal/opening-segment.ts',
    from: '    end: plan.end,\n',
    to: '    end: plan.end + 8,\n',
    tests: ['test/wal/opening.test.ts'],
  },
  {
    name: 'a seal mark before its successor',
    rule: 'L5',
    file: 'src/wal/log-output.ts',
    from: '      await this.#handle.write(encodeSegmentHeader(header), 0);\n',
    to: "      await oldHandle.write(encodeMark('seal', old.header.salt, old.end, old.end.lsn), old.end.offset);\n      await oldHandle.sync();\n      await this.#handle.write(encodeSegmentHeader(header), 0);\n",
    tests: ['test/wal/rotation.test.ts'],
  },
  {
    name: 'a proof mark before the sync that it proves',
    rule: 'L5',
    file: 'src/wal/log-output.ts',
    from: '  async prove(): Promise<void> {\n    await this.sync();\n',
    to: '  async prove(): Promise<void> {\n',
    tests: ['test/wal/durability.test.ts'],
  },
  {
    name: 'a freeze is published before it is durable',
    rule: 'C1',
    file: 'src/wal/log-writer.ts',
    from: '    this.#cuts.written(groups, this.#output.position);\n',
    to: '    this.#cuts.written(groups, this.#output.position);\n    this.#cuts.synced(this.#output.appendedLsn);\n',
    tests: ['test/wal/checkpoint-opening.test.ts'],
  },
  {
    name: 'a record is put before its snapshot',
    rule: 'C4',
    file: 'src/checkpoint/checkpointer.ts',
    from: `      await transfer.publish(built.stagedPath, link.name);
      const kind = isBase ? 'base' : 'delta';
      const { lsn, timestamp, tables, blobs } = frozen;
      const chain = [...images.chain, link];
      const { trigger } = request;
      const checkpointBytes = link.bytes;
      const state = { lsn, timestamp, position, tables, blobs };
      const made = { id, kind, chain, ...state, logBytes } as const;
      const record = this.#publisher.record({ ...made, trigger, checkpointBytes }, request);
      await this.#publisher.put(record);
`,
    to: `      const kind = isBase ? 'base' : 'delta';
      const { lsn, timestamp, tables, blobs } = frozen;
      const chain = [...images.chain, link];
      const { trigger } = request;
      const checkpointBytes = link.bytes;
      const state = { lsn, timestamp, position, tables, blobs };
      const made = { id, kind, chain, ...state, logBytes } as const;
      const record = this.#publisher.record({ ...made, trigger, checkpointBytes }, request);
      await this.#publisher.put(record);
      await transfer.publish(built.stagedPath, link.name);
`,
    tests: ['test/checkpoint/checkpoints.test.ts'],
  },
  {
    name: 'a file is taken because its name is there',
    rule: 'C3',
    file: 'src/store/file-store.ts',
    from: '      await this.#fs.rename(stagedPath, path);\n',
    to: '      if (!(await this.#fs.stat(path))) await this.#fs.rename(stagedPath, path);\n',
    tests: ['test/store/file-store.test.ts'],
  },
  {
    name: 'a poisoned engine publishes',
    rule: 'L11',
    file: 'src/checkpoint/publisher.ts',
    from: '    if (failure === undefined) return;\n    throw',
    to: '    if (failure === undefined || this.#fenced === undefined) return;\n    throw',
    tests: ['test/engine/poison.test.ts'],
  },
  {
    name: 'a gap in a chain is taken',
    rule: 'C4',
    file: 'src/recovery/chain-loader.ts',
    from: "link.kind === 'delta' && link.fromLsn === lastLsn;",
    to: "link.kind === 'delta' && link.fromLsn >= 0;",
    tests: ['test/recovery/chain-check.test.ts'],
  },
  {
    name: 'a block that is read where it is goes unchecked',
    rule: 'C4',
    file: 'src/snapshot/cold-file.ts',
    from: 'if (checks) checkBlock(block, source, this.path);',
    to: 'if (checks && source.length === 0) checkBlock(block, source, this.path);',
    tests: ['test/snapshot/cold-slice.test.ts'],
  },
  {
    name: 'a delta drops its tombstones',
    rule: 'E2',
    file: 'src/snapshot/merge-iterator.ts',
    from: '    settleInDelta(this, this.#lastTimestamp);\n',
    to: '    settleInDelta(this, this.#lastTimestamp);\n    if (this.op === ops.delete) return false;\n',
    tests: ['test/snapshot/merge-iterator.test.ts'],
  },
  {
    name: 'a merge judges expiry by the clock',
    rule: 'E4',
    file: 'src/checkpoint/compactor.ts',
    from: "    const { lastLsn, lastTimestamp } = must(run.at(-1), 'a merge has inputs').link;\n",
    to: "    const { lastLsn } = must(run.at(-1), 'a merge has inputs').link;\n    const lastTimestamp = clock.nowMicros();\n",
    tests: ['test/engine/chain.test.ts'],
  },
  {
    name: 'retention passes over what a reader pins',
    rule: 'R1',
    file: 'src/checkpoint/retention/retention-rules.ts',
    from: '    for (const pin of this.#in.pins) {\n',
    to: '    for (const pin of this.#in.pins.slice(this.#in.pins.length)) {\n',
    tests: ['test/checkpoint/retention/retention-plan.test.ts'],
  },
  {
    name: 'snapshots go before the records that name them',
    rule: 'R1',
    file: 'src/checkpoint/retention/collector.ts',
    from: '  for (const { name } of objects) {\n',
    to: '  for (const { name } of objects.toReversed()) {\n',
    tests: ['test/engine/crash-retention.test.ts'],
  },
  {
    name: 'an opening that has published nothing lets the checkpoint before go',
    rule: 'O5',
    file: 'src/checkpoint/retention/retention-rules.ts',
    from: '    if (newestFound === undefined) return undefined;\n',
    to: '    if (newestFound === undefined || newestFound > 0) return undefined;\n',
    tests: ['test/engine/retention.test.ts'],
  },
  {
    name: 'frames behind the fork come along',
    rule: 'T1',
    file: 'src/wal/frame-copies.ts',
    from: '    if (firstLsn + count - 1 > throughLsn) return;\n',
    to: '    if (firstLsn + count - 1 > throughLsn + header.recordCount) return;\n',
    tests: ['test/engine/rewind.test.ts'],
  },
  {
    name: 'LSNs that were given up are given again',
    rule: 'L7',
    file: 'src/recovery/accept-loss.ts',
    from: '  if (!lost) return lsn;\n',
    to: '  if (!lost || lost.throughLsn > lsn) return lsn;\n',
    tests: ['test/recovery/accept-loss.test.ts'],
  },
];
