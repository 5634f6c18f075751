/*
 * What is left of a damaged store as a second, sound one in a directory of its own: the way that
 * loses least is merged into one base, as a restore does it. The damaged store is only read; its lock
 * is held, so that nobody mends it meanwhile.
 *
 * Durability: as a restore's (new-store.ts): the new directory opens only when it is whole.
 */
import { snapshotName, type CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { compressionOf, rulesOf } from '../checkpoint/checkpointer-input.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { toHex } from '../std/bytes.ts';
import { runMerge, type MergedSnapshot } from '../threads/merge-run.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { firstEpoch, firstPosition } from '../wal/start-log.ts';
import { choose, labelOf, partsOf, readState, type LossComponents } from './accept-loss.ts';
import type { CopyComponents } from './copy-run.ts';
import { NewStore } from './new-store.ts';
import { searchWays, type Recovered, type RecoveryInput } from './recover.ts';
import type { LostCommits } from './recovery-path.ts';
import type { ChosenParts } from './restore-parts.ts';
import { newIdentity } from './restore-record.ts';
import type { StateSource } from './restore-source.ts';

/** What was saved, and what was not. */
export interface SalvagedState {
  /** Of the new store, hexadecimal. */
  readonly storeId: string;
  /** The checkpoint that it was made from; undefined: the log alone. */
  readonly from: number | undefined;
  /** Last LSN of the state. */
  readonly reachedLsn: number;
  /** Where the new store's log goes on. */
  readonly lsn: number;
  /** Undefined: none that is known of. */
  readonly lost: LostCommits | undefined;
  /** Operators that are not in it. */
  readonly missing: readonly string[];
  readonly entryCount: number;
  readonly bytes: number;
}

/** A state with the way to it. */
interface FoundState extends Pick<SalvagedState, 'lost' | 'missing'> {
  readonly state: StateSource;
  readonly parts: ChosenParts;
  readonly label: number;
}

/** Saves what can be reached; rejects with the reason of the refusal where nothing can. */
export async function runSalvage(
  input: RecoveryInput,
  on: LossComponents,
  target: { readonly to: string; readonly components: CopyComponents },
): Promise<SalvagedState> {
  const found = await searchWays(input);
  if ('recovered' in found) {
    const { recovered } = found;
    try {
      return await write(input, on, target, await wholeState(input, recovered));
    } finally {
      for (const { image } of recovered.links) image.release();
      recovered.tail?.release();
    }
  }
  const { refused, ways } = found;
  try {
    const chosen = await choose(input, on, ways);
    if (!chosen) throw refused;
    const state = await readState(input, chosen);
    try {
      const { best, partial } = chosen;
      const parts = await partsOf(input, { ...chosen, state });
      const missing = [...(state.plan.record?.missing ?? []), ...(partial?.missing ?? [])];
      const { lost } = best;
      return await write(input, on, target, { state, parts, label: labelOf(best), lost, missing });
    } finally {
      for (const { buffer } of state.tail) input.slabs.release(buffer);
    }
  } finally {
    ways.loader.release();
  }
}

async function wholeState(
  input: RecoveryInput,
  { record, links, tail, plan, lastTimestamp }: Recovered,
): Promise<FoundState> {
  const { groupBits, seed } = input;
  const { lastLsn: lsn } = plan;
  const slices = tail?.descriptors ?? [];
  const inputs = [...links.map(({ image }) => ({ slices: image.descriptors })), { slices }];
  const state = { plan: { lsn, record }, inputs, tail: slices, lastTimestamp, groupBits, seed };
  const parts = await partsOf(input, { state, partial: undefined });
  return { state, parts, label: lsn, lost: undefined, missing: record?.missing ?? [] };
}

async function write(
  input: RecoveryInput,
  { settings, threadsMax }: LossComponents,
  { to, components }: { readonly to: string; readonly components: CopyComponents },
  found: FoundState,
): Promise<SalvagedState> {
  const { pool, slabs, seed, groupBits, identity, run } = input;
  const { state, parts, label, lost } = found;
  const { record } = state.plan;
  const missing = found.missing.filter((name) => parts.tables.every((t) => t.operator !== name));
  const created = newIdentity(identity, components.random);
  const header: SnapshotHeader = {
    kind: 'base',
    storeId: created.storeId,
    timeline: firstPosition(label).timeline,
    epoch: firstEpoch,
    fromLsn: 0,
    lastLsn: label,
    lastTimestamp: state.lastTimestamp,
    seed,
    groupBits,
  };
  const store = await NewStore.begin(components, to);
  try {
    const stagedPath = store.stagedPath('base');
    const base = await runMerge(pool, {
      sources: parts.inputs,
      ...(parts.parts && { parts: parts.parts }),
      stagedPath,
      header,
      rules: rulesOf(parts.tables),
      compression: compressionOf(settings.compression, parts.tables),
      threadsMax,
      keepSlices: false,
      signal: run.signal,
      slabs,
    });
    const made = recordOf({ input, settings, found, created, missing, base });
    await store.publishSnapshot(stagedPath, made.chain[0]!.name);
    await store.finish(created, made);
    const { storeId } = made;
    const { entryCount, bytes } = base;
    const reached = { from: record?.id, reachedLsn: state.plan.lsn, lsn: label };
    return { storeId, ...reached, lost, missing, entryCount, bytes };
  } catch (error) {
    // What cannot be removed now stays behind its mark, and the next attempt removes it.
    await store.undo().catch(() => {});
    throw error;
  } finally {
    await store.release();
  }
}

/** The only record of the second store. */
function recordOf({
  input,
  settings,
  found,
  created,
  missing,
  base,
}: {
  readonly input: RecoveryInput;
  readonly settings: LossComponents['settings'];
  readonly found: FoundState;
  readonly created: StoreIdentity;
  readonly missing: readonly string[];
  readonly base: MergedSnapshot;
}): CheckpointRecord {
  const { state, parts, label } = found;
  const { lastTimestamp } = state;
  const { sha256, bytes, entryCount, dataBytes } = base;
  const id = 1;
  const position = firstPosition(label);
  const facts = { kind: 'base', fromLsn: 0, lastLsn: label, lastTimestamp } as const;
  const name = snapshotName(sha256, id);
  return {
    id,
    storeId: toHex(created.storeId),
    timeline: position.timeline,
    epoch: firstEpoch,
    parent: 0,
    kind: 'base',
    lsn: label,
    timestamp: lastTimestamp,
    fromTimestamp: 0,
    createdAt: input.clock.nowMicros(),
    position,
    chain: [{ ...facts, name, sha256, bytes, entryCount, dataBytes }],
    logBytes: 0,
    trigger: 'restore',
    totals: { logBytes: 0, checkpointBytes: bytes, mergeBytes: 0, baseLogBytes: 0 },
    ...settings,
    rates: state.plan.record?.rates,
    merge: undefined,
    tables: parts.tables,
    blobs: parts.blobs,
    keyGroups: created.keyGroups,
    savepoint: undefined,
    metadata: undefined,
    ...(missing.length > 0 && { missing }),
  };
}
