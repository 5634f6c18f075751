/*
 * A checkpoint record: a small immutable JSON document (sealed-json.ts) that names everything a
 * recovery needs: one read tells it all. A checkpoint exists when its record does; everything the
 * record names was durable before (C4).
 *
 * Names in the store: `checkpoints/<id>.json`, `checkpoints/<id>.dropped` for a savepoint that was
 * dropped, `snapshots/<sha256>-<id>`. An id is used by one attempt; skipped ids are legal (C3).
 */
import { compressionFromPlain, type CompressionSetting } from '../codec/compression-setting.ts';
import { decodeSealedJson, encodeSealedJson } from '../codec/sealed-json.ts';
import { CorruptionError, IncompatibleError } from '../errors.ts';
import type { BlobTotals } from '../state/blob-totals.ts';
import {
  definitionFromPlain,
  definitionToPlain,
  type TableDefinition,
} from '../state/table-definition.ts';
import { formatChain, parseChain } from '../wal/chain-value.ts';
import type { LogPosition } from '../wal/log-position.ts';
import { retentionFromPlain, type RetentionSettings } from './retention/retention-settings.ts';
import { RecordFields as Fields } from './record-fields.ts';
import {
  checkpointTriggers,
  decodeLoss,
  decodeMerge,
  decodeOrigin,
  decodePolicy,
  decodeRates,
  decodeTotals,
  type ChainPolicy,
  type CheckpointTrigger,
  type LossNote,
  type MergeNote,
  type RestoreOrigin,
  type RestoreRates,
  type WrittenTotals,
} from './record-notes.ts';

export type * from './record-notes.ts';

export const recordVersion = 1;

/** One snapshot of a chain. */
export interface ChainLink {
  /** Object name. */
  readonly name: string;
  readonly kind: 'base' | 'delta';
  readonly sha256: string;
  readonly bytes: number;
  readonly entryCount: number;
  /** Bytes of the entries before compression. */
  readonly dataBytes: number;
  /** LSN that the snapshot starts behind; 0 for a base. */
  readonly fromLsn: number;
  readonly lastLsn: number;
  /** Timestamp of the commit of `lastLsn`, microseconds. */
  readonly lastTimestamp: number;
  /** Hexadecimal: the store that made the file, where this is a fork that shares it (T3). */
  readonly storeId?: string;
}

/** What made a checkpoint. */
export type CheckpointKind = 'base' | 'delta' | 'merge';

/** A durable recoverable cut. */
export interface CheckpointRecord {
  readonly id: number;
  /** Hexadecimal. */
  readonly storeId: string;
  readonly timeline: number;
  readonly epoch: number;
  /** The record before it; 0 for none. */
  readonly parent: number;
  readonly kind: CheckpointKind;
  /** Everything up to this LSN is in the chain, nothing above. */
  readonly lsn: number;
  /** Timestamp of that commit, microseconds. */
  readonly timestamp: number;
  /** Timestamp of the parent's last commit, microseconds; 0 for none. */
  readonly fromTimestamp: number;
  /** When the record was made, microseconds. */
  readonly createdAt: number;
  /** Where the log goes on. */
  readonly position: LogPosition;
  /** Base first. */
  readonly chain: readonly ChainLink[];
  /** Bytes of the log that the checkpoint took in. */
  readonly logBytes: number;
  readonly trigger: CheckpointTrigger;
  readonly totals: WrittenTotals;
  /** In force when the record was made. */
  readonly policy: ChainPolicy;
  /** Undefined until something was measured. */
  readonly rates: RestoreRates | undefined;
  /** Of a record that a merge made. */
  readonly merge: MergeNote | undefined;
  /** How long the past is kept; undefined: everything stays. */
  readonly retention: RetentionSettings | undefined;
  readonly tables: readonly TableDefinition[];
  /** Of the blobs of all states, as of `lsn`. */
  readonly blobs: BlobTotals;
  /** The store's when the record was made; states can have their own. */
  readonly compression: CompressionSetting;
  readonly keyGroups: number;
  /** Name, when it is a savepoint. */
  readonly savepoint: string | undefined;
  /** The caller's, JSON. */
  readonly metadata: unknown;
  /** Of a store that a restore made, in every record: what it was made from. */
  readonly origin?: RestoreOrigin;
  /** Of a record that stands for what was left after a loss. */
  readonly loss?: LossNote;
  /** Operators that were lost and have not been started anew. */
  readonly missing?: readonly string[];
}

export const checkpointPrefix = 'checkpoints/';
export const snapshotPrefix = 'snapshots/';

const digits = (id: number): string => String(id).padStart(10, '0');

/** Object name of a record. */
export function recordName(id: number): string {
  return `${checkpointPrefix}${digits(id)}.json`;
}

/** Object name of the mark that a savepoint was dropped. */
export function droppedName(id: number): string {
  return `${checkpointPrefix}${digits(id)}.dropped`;
}

/** Object name of a snapshot. */
export function snapshotName(sha256: string, id: number): string {
  return `${snapshotPrefix}${sha256}-${digits(id)}`;
}

/** Id in the name of a record or a mark, or undefined when it is none. */
export function parseRecordName(name: string): { id: number; dropped: boolean } | undefined {
  const match = /^checkpoints\/(\d{10,16})\.(json|dropped)$/.exec(name);
  return match ? { id: Number(match[1]), dropped: match[2] === 'dropped' } : undefined;
}

/** Digest and id in the name of a snapshot, or undefined when it is none. */
export function parseSnapshotName(name: string): { sha256: string; id: number } | undefined {
  const match = /^snapshots\/([0-9a-f]{64})-(\d{10,16})$/.exec(name);
  return match ? { sha256: match[1]!, id: Number(match[2]) } : undefined;
}

export function encodeRecord(record: CheckpointRecord): Uint8Array {
  const { position, tables, savepoint, metadata, ...rest } = record;
  return encodeSealedJson({
    format: recordVersion,
    ...rest,
    position: { ...position, chain: formatChain(position.chain) },
    tables: tables.map(definitionToPlain),
    savepoint: savepoint ?? null,
    // Absent when there is none: null is a value.
    metadata,
  });
}

/** Decodes and validates; `name` is for the error. */
export function decodeRecord(bytes: Uint8Array, name: string): CheckpointRecord {
  const body = decodeSealedJson(bytes);
  const corrupt = (why: string): CorruptionError =>
    new CorruptionError('CORRUPT_RECORD', `checkpoint record ${why}: ${name}`, {
      path: name,
      offset: 0,
    });
  if (typeof body === 'string') throw corrupt(body);
  if (body['format'] !== recordVersion) {
    if (typeof body['format'] !== 'number') throw corrupt('has no format');
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `checkpoint format version ${body['format']} is not known to this release: ${name}`,
      { path: name, version: body['format'], supported: recordVersion },
    );
  }
  const fields = new Fields(body, corrupt);
  const kind = fields.text('kind');
  if (kind !== 'base' && kind !== 'delta' && kind !== 'merge') throw corrupt('has no kind');
  const savepoint = body['savepoint'] ?? undefined;
  if (savepoint !== undefined && typeof savepoint !== 'string')
    throw corrupt('has a bad savepoint');
  return {
    id: fields.count('id'),
    storeId: fields.text('storeId'),
    timeline: fields.count('timeline'),
    epoch: fields.count('epoch'),
    parent: fields.count('parent'),
    kind,
    lsn: fields.count('lsn'),
    timestamp: fields.count('timestamp'),
    fromTimestamp: fields.count('fromTimestamp'),
    createdAt: fields.count('createdAt'),
    position: decodePosition(fields.object('position')),
    chain: fields.list('chain').map(decodeLink),
    logBytes: fields.count('logBytes'),
    trigger: fields.oneOf('trigger', checkpointTriggers),
    totals: decodeTotals(fields.object('totals')),
    policy: decodePolicy(fields.object('policy')),
    rates: body['rates'] === undefined ? undefined : decodeRates(fields.object('rates')),
    merge: body['merge'] === undefined ? undefined : decodeMerge(fields.object('merge')),
    retention: fields.optional('retention', () => decodeRetention(fields)),
    tables: fields.list('tables').map((field) => {
      const table = definitionFromPlain(field.body);
      if (!table) throw corrupt('has a bad table');
      return table;
    }),
    blobs: decodeBlobs(fields.object('blobs')),
    compression: decodeCompression(fields),
    keyGroups: fields.count('keyGroups'),
    savepoint,
    metadata: body['metadata'],
    ...(body['origin'] === undefined ? {} : { origin: decodeOrigin(fields.object('origin')) }),
    ...(body['loss'] === undefined ? {} : { loss: decodeLoss(fields.object('loss')) }),
    ...(body['missing'] === undefined ? {} : { missing: fields.texts('missing') }),
  };
}

function decodeBlobs(fields: Fields): BlobTotals {
  return {
    bytes: fields.count('bytes'),
    chunkCount: fields.count('chunkCount'),
    chunkBytes: fields.count('chunkBytes'),
  };
}

function decodeCompression(fields: Fields): CompressionSetting {
  const compression = compressionFromPlain(fields.body['compression']);
  if (!compression) throw fields.corrupt('has no compression');
  return compression;
}

function decodePosition(fields: Fields): LogPosition {
  const chain = parseChain(fields.text('chain'));
  if (!chain) throw fields.corrupt('has no chain value');
  return {
    lsn: fields.count('lsn'),
    segment: fields.count('segment'),
    timeline: fields.count('timeline'),
    offset: fields.count('offset'),
    chain,
  };
}

function decodeRetention({ body, corrupt }: Fields): RetentionSettings {
  const settings = retentionFromPlain(body['retention']);
  if (!settings) throw corrupt('has a bad retention');
  return settings;
}

function decodeLink(fields: Fields): ChainLink {
  const kind = fields.text('kind');
  if (kind !== 'base' && kind !== 'delta') throw fields.corrupt('has a link of no kind');
  const name = fields.text('name');
  const sha256 = fields.text('sha256');
  // A name leads to a file: only those that snapshots have are followed.
  if (parseSnapshotName(name)?.sha256 !== sha256) throw fields.corrupt('names no snapshot');
  return {
    name,
    kind,
    sha256,
    bytes: fields.count('bytes'),
    entryCount: fields.count('entryCount'),
    dataBytes: fields.count('dataBytes'),
    fromLsn: fields.count('fromLsn'),
    lastLsn: fields.count('lastLsn'),
    lastTimestamp: fields.count('lastTimestamp'),
    ...(fields.body['storeId'] === undefined ? {} : { storeId: fields.text('storeId') }),
  };
}
