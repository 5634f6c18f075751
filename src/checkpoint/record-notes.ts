/*
 * What a checkpoint record says beside where the state is: why it was made, what a merge did, what
 * was written so far, how fast a restore is here, and the policy in force. Recovery needs none of
 * it; the next opening, `inspect` and `tune` do.
 */
import type { RecordFields } from './record-fields.ts';

export const checkpointTriggers = [
  'call',
  'entries',
  'commits',
  'logBytes',
  'time',
  'budget',
  'memtable',
  'close',
  'merge',
  'restore',
  'loss',
] as const;

/** Why a checkpoint was taken. */
export type CheckpointTrigger = (typeof checkpointTriggers)[number];

export const mergeStrategies = ['sequential', 'optimal', 'parallel'] as const;

/**
 * How the chain is merged. 'sequential': the whole chain into a base, in one worker; 'parallel': the
 * same over key groups in several; 'optimal': the run of snapshots that costs least for what it
 * gives.
 */
export type MergeStrategy = (typeof mergeStrategies)[number];

/** Sums since the store was made, along its ancestry: what write amplification is worked out from. */
export interface WrittenTotals {
  /** Bytes of the log that checkpoints took in. */
  readonly logBytes: number;
  /** Bytes of snapshots that checkpoints wrote. */
  readonly checkpointBytes: number;
  /** Bytes of snapshots that merges wrote. */
  readonly mergeBytes: number;
  /** `logBytes` as it was when the base of the chain was made. */
  readonly baseLogBytes: number;
}

/** How fast a restore was measured to be, where the record was made. */
export interface RestoreRates {
  /** Bytes of snapshot files a second: read, checked, decompressed. */
  readonly loadBytesPerSecond: number;
  /** Bytes of log a second: read, checked, folded into an image. */
  readonly replayBytesPerSecond: number;
  /** Seconds of an opening beside these two. */
  readonly overheadSeconds: number;
}

/** What a merge did, and why it chose so. */
export interface MergeNote {
  readonly strategy: MergeStrategy;
  /** For people. */
  readonly why: string;
  /** Object names of what was merged, oldest first. */
  readonly inputs: readonly string[];
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly milliseconds: number;
}

/** The state that a store was made from by a restore; of several stores the first. */
export interface RestoreOrigin {
  /** Hexadecimal. */
  readonly storeId: string;
  readonly timeline: number;
  /** The commit that was restored. */
  readonly lsn: number;
  /** Parts of the state only. */
  readonly partial: boolean;
  /** Key groups that were taken, half-open; absent where these are all, or more than one range. */
  readonly keyGroups?: { readonly from: number; readonly to: number };
  /** All stores that it was joined from, when there were several. */
  readonly joined?: readonly JoinedOrigin[];
}

/** A store whose key groups were joined with those of others. */
export interface JoinedOrigin {
  /** Hexadecimal. */
  readonly storeId: string;
  readonly timeline: number;
  readonly lsn: number;
  /** Half-open. */
  readonly keyGroups: { readonly from: number; readonly to: number };
}

/** What was given up where every way to the state had lost commits. */
export interface LossNote {
  /** First LSN that is not in the state. */
  readonly fromLsn: number;
  /** The last one that is known to have been given; below `fromLsn` when none is. */
  readonly throughLsn: number;
  /** There may have been others behind it. */
  readonly mayBeMore: boolean;
  /** Where all files are kept as they were, relative to the directory of the store. */
  readonly keptIn: string;
}

/** What a user decided about the chain. */
export interface ChainPolicy {
  readonly strategy: MergeStrategy;
  readonly maxChainLength: number;
  /** Undefined: no bound. */
  readonly restoreSecondsMax: number | undefined;
  readonly restoreBytesMax: number | undefined;
  readonly mergeBytesPerLogByteMax: number;
  /** Bytes of log behind the base at which a new one is made, for each byte of it. */
  readonly logBytesPerBaseByteMax: number;
}

export function decodeTotals(fields: RecordFields): WrittenTotals {
  return {
    logBytes: fields.count('logBytes'),
    checkpointBytes: fields.count('checkpointBytes'),
    mergeBytes: fields.count('mergeBytes'),
    baseLogBytes: fields.count('baseLogBytes'),
  };
}

export function decodeRates(fields: RecordFields): RestoreRates {
  return {
    loadBytesPerSecond: fields.amount('loadBytesPerSecond'),
    replayBytesPerSecond: fields.amount('replayBytesPerSecond'),
    overheadSeconds: fields.amount('overheadSeconds'),
  };
}

export function decodeOrigin(fields: RecordFields): RestoreOrigin {
  const { partial } = fields.body;
  if (typeof partial !== 'boolean') throw fields.corrupt('does not say whether it is partial');
  return {
    storeId: fields.text('storeId'),
    timeline: fields.count('timeline'),
    lsn: fields.count('lsn'),
    partial,
    ...(fields.body['keyGroups'] === undefined
      ? {}
      : { keyGroups: decodeGroups(fields.object('keyGroups')) }),
    ...(fields.body['joined'] === undefined
      ? {}
      : { joined: fields.list('joined').map(decodeJoined) }),
  };
}

export function decodeLoss(fields: RecordFields): LossNote {
  const { mayBeMore } = fields.body;
  if (typeof mayBeMore !== 'boolean') throw fields.corrupt('does not say what was lost');
  return {
    fromLsn: fields.count('fromLsn'),
    throughLsn: fields.count('throughLsn'),
    mayBeMore,
    keptIn: fields.text('keptIn'),
  };
}

function decodeJoined(fields: RecordFields): JoinedOrigin {
  return {
    storeId: fields.text('storeId'),
    timeline: fields.count('timeline'),
    lsn: fields.count('lsn'),
    keyGroups: decodeGroups(fields.object('keyGroups')),
  };
}

function decodeGroups(fields: RecordFields): { readonly from: number; readonly to: number } {
  return { from: fields.count('from'), to: fields.count('to') };
}

export function decodeMerge(fields: RecordFields): MergeNote {
  return {
    strategy: fields.oneOf('strategy', mergeStrategies),
    why: fields.text('why'),
    inputs: fields.texts('inputs'),
    inputBytes: fields.count('inputBytes'),
    outputBytes: fields.count('outputBytes'),
    milliseconds: fields.amount('milliseconds'),
  };
}

export function decodePolicy(fields: RecordFields): ChainPolicy {
  return {
    strategy: fields.oneOf('strategy', mergeStrategies),
    maxChainLength: fields.count('maxChainLength'),
    restoreSecondsMax: fields.optional('restoreSecondsMax', () =>
      fields.amount('restoreSecondsMax'),
    ),
    restoreBytesMax: fields.optional('restoreBytesMax', () => fields.count('restoreBytesMax')),
    mergeBytesPerLogByteMax: fields.amount('mergeBytesPerLogByteMax'),
    logBytesPerBaseByteMax: fields.amount('logBytesPerBaseByteMax'),
  };
}
