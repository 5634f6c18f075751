/*
 * Taking the way that loses least, where every way to the state would lose commits and the caller has
 * said that it may. The state that is left becomes one base, under a checkpoint at the last LSN that
 * is known to have been given: so what was lost is never taken for what comes, and no LSN is given
 * twice. The log goes on behind it as behind any checkpoint that it ends before (L7).
 *
 * Durability, each step synced before the next: a copy of everything as it was; the base; the record,
 * whose position is in a segment that is not there yet; then the opening's mark and segment. Until
 * the record is there the next opening finds the same damage and the same ways; with it every
 * opening goes on from it, and the copy is whole.
 */
import {
  recordName,
  snapshotName,
  type ChainLink,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import type { LossNote } from '../checkpoint/record-notes.ts';
import { compressionOf, rulesOf } from '../checkpoint/checkpointer-input.ts';
import { CorruptionError } from '../errors.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { must } from '../std/assert.ts';
import { toHex } from '../std/bytes.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { runMerge, type MergedSnapshot } from '../threads/merge-run.ts';
import type { MergeSource } from '../threads/slice-loans.ts';
import { chainStart } from '../wal/chain-value.ts';
import { readLogMark, withLoss, writeLogMark } from '../wal/log-mark.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';
import { keepStore } from './given-up.ts';
import { findPartial, type PartialPath } from './partial-chain.ts';
import type { ExaminedPath } from './losing-paths.ts';
import { recover, searchWays, type Recovered, type RecoveryInput, type Ways } from './recover.ts';
import { isDamage, type AcceptedLoss, type LostCommits } from './recovery-path.ts';
import { chooseParts, chooseWhole, type ChosenParts } from './restore-parts.ts';
import { readCatalog } from './restore-join.ts';
import type { StateSource } from './restore-source.ts';

/**
 * LSNs that are passed over where it is not known how many were given: more than a log of any size
 * holds that goes missing at once. A reader that had seen some of them never takes others for them.
 */
export const lsnsPassedOver: number = 2 ** 32;

/** What is written with, beside what is read with. */
export interface LossComponents {
  /** Commits may be lost. */
  readonly acceptLoss: boolean;
  /** Operators may be lost. */
  readonly optimistic: boolean;
  readonly objects: ObjectStore;
  /** Settings in force, for the record. */
  readonly settings: Pick<CheckpointRecord, 'policy' | 'retention' | 'compression'>;
  readonly threadsMax: number;
  /** Begins the timeline that is recovered, where it has no record yet. @defaultValue it has begun */
  readonly begin?: (() => Promise<void>) | undefined;
}

/** As `recover`; where every way loses commits, the one that loses least is made the state. */
export async function recoverAccepting(
  input: RecoveryInput,
  on: LossComponents,
): Promise<Recovered> {
  const found = await searchWays(input);
  if ('recovered' in found) return found.recovered;
  const { refused, ways } = found;
  let loss: AcceptedLoss;
  try {
    const chosen = await choose(input, on, ways);
    if (!chosen) throw refused;
    loss = await giveUp(input, on, chosen);
  } finally {
    ways.loader.release();
  }
  const recovered = await recover(input);
  return { ...recovered, report: { ...recovered.report, loss } };
}

/** The way that is gone. */
export interface Chosen {
  readonly ways: Ways;
  readonly best: ExaminedPath;
  /** Operators that are left out, and the files of the others; undefined: all come along. */
  readonly partial: PartialPath | undefined;
}

/** No commit is lost where operators may be instead. */
export async function choose(
  input: RecoveryInput,
  { acceptLoss, optimistic, objects }: LossComponents,
  ways: Ways,
): Promise<Chosen | undefined> {
  const best = acceptLoss ? ways.paths.at(0) : undefined;
  if (best && !best.lost) return { ways, best, partial: undefined };
  const partial = optimistic ? await findPartial(input, ways, objects) : undefined;
  if (partial) return { ways, best: partial.path, partial };
  return best && { ways, best, partial: undefined };
}

async function giveUp(
  input: RecoveryInput,
  on: LossComponents,
  chosen: Chosen,
): Promise<AcceptedLoss> {
  const { fs, dir, checkpoints, transfer } = input;
  const { best, partial } = chosen;
  const missing = partial?.missing ?? [];
  const { checkpoint: from, lsn: reachedLsn, lost, why } = best;
  // A way that cannot be gone after all is found out before anything is written for good.
  const stagedPath = transfer.stagedPath('accepted-loss');
  const state = await readState(input, chosen);
  const told = { from: from ?? null, reachedLsn, lost: lost ?? null, missing, why };
  let written: WrittenState;
  let keptIn: string;
  try {
    written = await writeState(input, on, { ...chosen, state, stagedPath });
    input.run.check();
    keptIn = await keepStore({ fs, dir, objects: on.objects }, told);
    // From here on it is finished: a caller who is told that it was given up has lost nothing.
    input.run.check();
    input.run.end();
  } catch (error) {
    // What cannot be removed now is a staged file: the next opening removes those.
    await transfer.discard(stagedPath).catch(() => {});
    throw error;
  } finally {
    for (const { buffer } of state.tail) input.slabs.release(buffer);
  }
  await on.begin?.();
  const id = checkpoints.nextId();
  const record = recordOf(input, on, { ...chosen, ...written, id, keptIn });
  await transfer.publish(stagedPath, must(record.chain[0], 'a base is the chain').name);
  await mendMark(input, labelOf(best));
  await checkpoints.publish(record);
  // They would hold retention back for good, and are in the copy.
  for (const unreadable of chosen.ways.unreadable) await checkpoints.remove(recordName(unreadable));
  return { from, reachedLsn, lost, missing, why, checkpoint: id, keptIn: `${dir}/${keptIn}` };
}

/** The LSN that stands for what was lost as well. */
export function labelOf({ lsn, lost }: ExaminedPath): number {
  if (!lost) return lsn;
  const last = Math.max(lsn, lost.throughLsn);
  return lost.mayBeMore ? last + lsnsPassedOver : last;
}

/** The state that a way reaches, as inputs of a merge. */
export async function readState(
  input: RecoveryInput,
  { ways, best, partial }: Chosen,
): Promise<StateSource> {
  const { pool, slabs, seed, groupBits } = input;
  const { record, reach, lsn } = best;
  const inputs: MergeSource[] = [...(partial?.inputs ?? [])];
  if (record && !partial) {
    for (const part of await ways.loader.load(record)) {
      if ('error' in part) throw part.error;
      inputs.push({ slices: part.image.descriptors });
    }
  }
  const tailInput = {
    ranges: reach.ranges,
    fromLsn: record?.lsn ?? 0,
    fromTimestamp: record?.timestamp ?? 0,
    // A timeline can begin inside a group of the one before.
    ...(reach.ranges.length > 0 && { lastLsn: lsn }),
    seed,
    groupBits,
    // Nothing is trimmed before the catalogue says how much of a list is kept.
    rules: [],
  };
  const output = await pool.run('buildTail', tailInput, input.run.signal);
  for (const slab of output.spareSlabs) slabs.release(slab);
  const { slices: tail, lastLsn } = output;
  if (reach.ranges.length > 0 && lastLsn !== lsn) {
    for (const { buffer } of tail) slabs.release(buffer);
    throw new CorruptionError(
      'CORRUPT_FRAME',
      `log ends at LSN ${lastLsn} where ${lsn} was found`,
      {
        lsn: lastLsn,
        expected: lsn,
      },
    );
  }
  const lastTimestamp = Math.max(record?.timestamp ?? 0, output.lastTimestamp);
  return {
    plan: { lsn, record },
    inputs: [...inputs, { slices: tail }],
    tail,
    lastTimestamp,
    groupBits,
    seed,
  };
}

/** A state that has been written, under no name yet. */
interface WrittenState {
  readonly chosenParts: ChosenParts;
  readonly base: MergedSnapshot;
  readonly header: SnapshotHeader;
}

async function writeState(
  input: RecoveryInput,
  { settings, threadsMax }: LossComponents,
  on: Chosen & { readonly state: StateSource; readonly stagedPath: string },
): Promise<WrittenState> {
  const { pool, slabs, identity, seed, groupBits, ancestry } = input;
  const { state, stagedPath, ways, best } = on;
  const { signal } = input.run;
  const chosenParts = await partsOf(input, on);
  const header: SnapshotHeader = {
    kind: 'base',
    storeId: identity.storeId,
    timeline: ancestry.timeline,
    epoch: ways.epochMax + 1,
    fromLsn: 0,
    lastLsn: labelOf(best),
    lastTimestamp: state.lastTimestamp,
    seed,
    groupBits,
  };
  await input.transfer.discard(stagedPath);
  const base = await runMerge(pool, {
    sources: chosenParts.inputs,
    ...(chosenParts.parts && { parts: chosenParts.parts }),
    stagedPath,
    header,
    rules: rulesOf(chosenParts.tables),
    compression: compressionOf(settings.compression, chosenParts.tables),
    threadsMax,
    keepSlices: false,
    signal,
    slabs,
  });
  return { chosenParts, base, header };
}

/** Everything, or the operators that are whole. */
export async function partsOf(
  { dir, groupBits, pool, slabs, run: { signal } }: RecoveryInput,
  { state, partial }: Pick<Chosen, 'partial'> & { readonly state: StateSource },
): Promise<ChosenParts> {
  const run = { pool, slabs, signal };
  if (!partial) return chooseWhole(state, run);
  const names = new Set((await readCatalog(state, run)).map(({ operator }) => operator));
  const operators = [...names].filter((name) => !partial.missing.includes(name));
  const source = { state, dir, groups: { from: 0, to: 2 ** groupBits } };
  return chooseParts([source], { operators, positions: 0, holders: 0 }, run);
}

/** The record that everything goes on from. */
function recordOf(
  { clock, identity, ancestry }: RecoveryInput,
  { settings }: LossComponents,
  made: Chosen & WrittenState & { readonly id: number; readonly keptIn: string },
): CheckpointRecord {
  const { ways, best, partial, chosenParts, base, header, id, keptIn } = made;
  const { record } = best;
  const named = new Set([...(record?.missing ?? []), ...(partial?.missing ?? [])]);
  const missing = [...named].filter((name) =>
    chosenParts.tables.every(({ operator }) => operator !== name),
  );
  const { timeline } = ancestry;
  const { sha256, bytes, entryCount, dataBytes } = base;
  const { kind, fromLsn, lastLsn, lastTimestamp, epoch } = header;
  const facts = { kind, sha256, bytes, entryCount, dataBytes, fromLsn, lastLsn, lastTimestamp };
  const link: ChainLink = { name: snapshotName(sha256, id), ...facts };
  const totals = record?.totals ?? noTotals;
  return {
    id,
    storeId: toHex(identity.storeId),
    timeline,
    epoch,
    parent: record?.id ?? 0,
    kind: 'base',
    lsn: lastLsn,
    timestamp: lastTimestamp,
    fromTimestamp: record?.timestamp ?? 0,
    createdAt: clock.nowMicros(),
    position: {
      lsn: lastLsn,
      segment: ways.segmentMax + 1,
      timeline,
      offset: segmentHeaderBytes,
      chain: chainStart,
    },
    chain: [link],
    logBytes: 0,
    trigger: 'loss',
    totals: {
      ...totals,
      checkpointBytes: totals.checkpointBytes + bytes,
      baseLogBytes: totals.logBytes,
    },
    ...settings,
    rates: record?.rates,
    merge: undefined,
    tables: chosenParts.tables,
    blobs: chosenParts.blobs,
    keyGroups: identity.keyGroups,
    savepoint: undefined,
    metadata: undefined,
    ...(record?.origin && { origin: record.origin }),
    loss: lossNote(best, keptIn),
    ...(missing.length > 0 && { missing }),
  };
}

const noTotals = { logBytes: 0, checkpointBytes: 0, mergeBytes: 0, baseLogBytes: 0 };

function lossNote({ lsn, lost }: ExaminedPath, keptIn: string): LossNote {
  const none: LostCommits = { fromLsn: lsn + 1, throughLsn: lsn, mayBeMore: false };
  return { ...(lost ?? none), keptIn };
}

/** A mark that cannot be read would refuse the next opening too; what it said is in the copy. */
async function mendMark(
  { fs, dir, identity, ancestry }: RecoveryInput,
  lsn: number,
): Promise<void> {
  const { storeId } = identity;
  try {
    await readLogMark(fs, dir, storeId);
  } catch (error) {
    if (!isDamage(error, true)) throw error;
    await writeLogMark(fs, dir, storeId, withLoss(undefined, lsn, ancestry.timeline));
  }
}
