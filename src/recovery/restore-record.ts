/*
 * What a restore writes beside the state: the new store's identity, the header of its base, and its
 * only record, with the settings of the first store that it was made from.
 */
import { snapshotName, type CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import type { ChainPolicy, RestoreOrigin } from '../checkpoint/record-notes.ts';
import type { RetentionSettings } from '../checkpoint/retention/retention-settings.ts';
import { compressionDefault } from '../codec/compression-setting.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { toHex } from '../std/bytes.ts';
import type { Clock } from '../std/clock.ts';
import type { Random } from '../std/random.ts';
import { directoryPlace } from '../store/store-place.ts';
import type { MergedSnapshot } from '../threads/merge-run.ts';
import { timelineAt } from '../wal/ancestry.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { firstEpoch, firstPosition } from '../wal/start-log.ts';
import type { AmendedMoment } from './restore-amendments.ts';
import type { ChosenParts, KeyGroupRange } from './restore-parts.ts';
import type { RestoreSource } from './restore-source.ts';

/** A store that a restore reads. */
export interface ReadStore {
  readonly identity: StoreIdentity;
  readonly state: RestoreSource;
  readonly groups: KeyGroupRange;
}

/** For the record where the source has none. */
export interface RestoreDefaults {
  readonly policy: ChainPolicy;
  readonly retention: RetentionSettings;
}

/** Another store, whose keys have the same hashes. */
export function newIdentity(of: StoreIdentity, random: Random): StoreIdentity {
  const storeId = new Uint8Array(16);
  random.fill(storeId);
  return { ...of, storeId, place: directoryPlace };
}

/** Header of the base. */
export function headerOf(
  { storeId }: StoreIdentity,
  { seed, groupBits }: RestoreSource,
  { lsn, timestamp }: AmendedMoment,
): SnapshotHeader {
  return {
    kind: 'base',
    storeId,
    timeline: firstPosition(0).timeline,
    epoch: firstEpoch,
    fromLsn: 0,
    lastLsn: lsn,
    lastTimestamp: timestamp,
    seed,
    groupBits,
  };
}

/** What a record is made from. */
export interface RecordParts {
  readonly created: StoreIdentity;
  readonly stores: readonly ReadStore[];
  readonly when: AmendedMoment;
  readonly chosen: ChosenParts;
  readonly base: MergedSnapshot;
  readonly partial: boolean;
  readonly defaults: RestoreDefaults;
  readonly clock: Clock;
}

/** The only record of the new store. */
export function recordOf(parts: RecordParts): CheckpointRecord {
  const { created, stores, when, chosen, base, defaults, clock } = parts;
  const id = 1;
  const { lsn, timestamp } = when;
  const { record } = stores[0]!.state.plan;
  const { sha256, bytes, entryCount, dataBytes } = base;
  const position = firstPosition(lsn);
  const link = { name: snapshotName(sha256, id), sha256, bytes, entryCount, dataBytes };
  return {
    id,
    storeId: toHex(created.storeId),
    timeline: position.timeline,
    epoch: firstEpoch,
    parent: 0,
    kind: 'base',
    lsn,
    timestamp,
    fromTimestamp: 0,
    createdAt: clock.nowMicros(),
    position,
    chain: [{ ...link, kind: 'base', fromLsn: 0, lastLsn: lsn, lastTimestamp: timestamp }],
    logBytes: 0,
    trigger: 'restore',
    totals: { logBytes: 0, checkpointBytes: bytes, mergeBytes: 0, baseLogBytes: 0 },
    policy: record?.policy ?? defaults.policy,
    rates: record?.rates,
    merge: undefined,
    retention: record ? record.retention : defaults.retention,
    tables: chosen.tables,
    blobs: chosen.blobs,
    compression: record?.compression ?? compressionDefault,
    keyGroups: created.keyGroups,
    savepoint: undefined,
    metadata: undefined,
    origin: originOf(parts),
    ...missingOf(parts),
  };
}

/** What the sources lack is not to come up empty in the new store. */
function missingOf({ stores, chosen }: RecordParts): Pick<CheckpointRecord, 'missing'> {
  const named = new Set(stores.flatMap(({ state }) => state.plan.record?.missing ?? []));
  for (const { operator } of chosen.tables) named.delete(operator);
  return named.size > 0 ? { missing: [...named] } : {};
}

function originOf({ stores, partial }: RecordParts): RestoreOrigin {
  const all = stores.map(({ identity, state, groups: { from, to } }) => {
    const { lsn } = state.plan;
    const timeline = timelineAt(state.ancestry, lsn);
    return { storeId: toHex(identity.storeId), timeline, lsn, keyGroups: { from, to } };
  });
  const { storeId, timeline, lsn } = all[0]!;
  const groups = rangeOf(stores);
  return {
    storeId,
    timeline,
    lsn,
    partial,
    ...(groups && { keyGroups: groups }),
    ...(all.length === 1 ? {} : { joined: all }),
  };
}

/** The key groups of all of them, where these are one range and not all that there are. */
function rangeOf(stores: readonly ReadStore[]): KeyGroupRange | undefined {
  const ordered = stores.map(({ groups }) => groups).toSorted((a, b) => a.from - b.from);
  const from = ordered[0]!.from;
  const to = ordered.reduce((end, next) => (next.from === end ? next.to : Number.NaN), from);
  const { identity, state } = stores[0]!;
  if (Number.isNaN(to)) return undefined;
  if (from > 0 || to < identity.keyGroups) return { from, to };
  // All of a store that had not got all itself.
  return stores.length === 1 ? state.plan.record?.origin?.keyGroups : undefined;
}
