/*
 * `inspect`, `verify` and `dump` of a single snapshot file instead of a directory. A delta names
 * only the tables that are new in it; the names of the others come from the snapshots beside it
 * that it continues, where they are there.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  openSnapshot,
  type Snapshot,
  type SnapshotEntry,
  type SnapshotMetadata,
} from '../checkpoint/library/snapshot-library.ts';
import { InvalidArgumentError, TidemarkError } from '../errors.ts';
import { status, type CommonOptions } from './common.ts';
import { parseName } from './key-argument.ts';
import type { Output } from './output.ts';
import { formatBytes, formatTime, renderValue, toJson } from './render.ts';

/** Name of a snapshot in a store. */
const storedName = /^([0-9a-f]{64})-\d{10,16}$/;

/** Whether the argument is a file, which has no `--store`. */
export function isSnapshotFile(path: string, { store }: CommonOptions): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  if (store === undefined) return true;
  throw new InvalidArgumentError('INVALID_OPTION', '--store goes with a directory, not a file', {
    option: 'store',
  });
}

export async function inspectFile(
  output: Output,
  path: string,
  { json = false }: CommonOptions,
): Promise<number> {
  await using snapshot = await openNamed(path);
  const { metadata, positions } = snapshot;
  if (json) {
    await output.line(toJson({ ...metadata, positions: renderValue(positions) }));
    return status.fine;
  }
  for (const line of summaryOf(metadata)) await output.line(line);
  if (metadata.tables.length > 0) await output.line();
  const rows = metadata.tables.map((table) => [
    printable(table.operator ?? ''),
    printable(table.state ?? `table ${table.id}`),
    table.itemsMax === undefined ? (table.kind ?? '') : `${table.kind}, newest ${table.itemsMax}`,
    table.entryCount,
    formatBytes(table.dataBytes),
  ]);
  const { entryCount, dataBytes } = metadata.chunks;
  if (entryCount > 0) rows.push(['', '', 'chunks of blobs', entryCount, formatBytes(dataBytes)]);
  if (rows.length > 0) {
    await output.table(['operator', 'state', 'kind', 'entries', 'bytes'], rows);
  }
  const sources = Object.entries(positions);
  if (sources.length === 0) return status.fine;
  await output.line();
  await output.table(
    ['source', 'position'],
    sources.map(([source, position]) => [printable(source), toJson(renderValue(position))]),
  );
  return status.fine;
}

/** One line a fault, or one line that says what is sound. */
export async function verifyFile(
  output: Output,
  path: string,
  { json = false }: CommonOptions,
): Promise<number> {
  const found = await findFaults(path);
  const sound = found.faults.length === 0;
  if (json) {
    await output.line(toJson({ sound, path, ...found }));
    return sound ? status.fine : status.found;
  }
  for (const { offset, what } of found.faults) {
    await output.line(`${path}: offset ${offset}: ${what}`);
  }
  if (sound) {
    const { metadata } = found;
    const bytes = formatBytes(metadata?.fileBytes ?? 0);
    const entries = metadata?.entryCount ?? 0;
    await output.line(`sound: ${metadata?.kind}, ${entries} entries (${bytes}), ${found.sha256}`);
  }
  return sound ? status.fine : status.found;
}

interface FoundFaults {
  readonly faults: readonly { readonly offset: number; readonly what: string }[];
  readonly sha256?: string;
  readonly metadata?: SnapshotMetadata;
}

async function findFaults(path: string): Promise<FoundFaults> {
  const named = storedName.exec(basename(path))?.[1];
  let snapshot: Snapshot;
  try {
    snapshot = await openSnapshot(path);
  } catch (error) {
    // What cannot be opened is damaged where the error says.
    if (!(error instanceof TidemarkError) || error.kind !== 'corrupt') throw error;
    const { offset } = error.details;
    return { faults: [{ offset: typeof offset === 'number' ? offset : 0, what: error.message }] };
  }
  try {
    const { faults, sha256 } = await snapshot.verify(named === undefined ? {} : { sha256: named });
    return { faults, sha256, metadata: snapshot.metadata };
  } finally {
    await snapshot.close();
  }
}

/** Every entry: of a base what is live now, of a delta what it does. */
export async function dumpFile(
  output: Output,
  path: string,
  names: readonly [operator: string | undefined, state: string | undefined],
): Promise<number> {
  await using snapshot = await openNamed(path);
  const [operator, state] = names.map((name) => (name === undefined ? name : parseName(name)));
  const tables = snapshot.metadata.tables.filter(
    (table) =>
      (operator === undefined || table.operator === operator) &&
      (state === undefined || table.state === state),
  );
  if (operator === undefined) {
    for await (const entry of snapshot.entries({ skipExpired: true })) {
      await output.line(describe(entry, snapshot.metadata.kind));
    }
    return status.fine;
  }
  if (tables.length === 0) {
    // Says that there is no such table, by name.
    await snapshot.entries({ table: { operator, state: state ?? '*' } }).next();
  }
  for (const { operator, state } of tables) {
    const table = { operator: operator!, state: state! };
    for await (const entry of snapshot.entries({ table, skipExpired: true })) {
      await output.line(describe(entry, snapshot.metadata.kind));
    }
  }
  return status.fine;
}

function describe(entry: SnapshotEntry, kind: SnapshotMetadata['kind']): string {
  const { table, operator, state, op, mergeOperator, key, subKey, value } = entry;
  const hasValue = op === 'put' || op === 'merge';
  return toJson({
    ...(operator === undefined ? { table } : { operator, state, kind: entry.kind }),
    ...(kind === 'delta' ? { op, mergeOperator } : {}),
    key: key === undefined ? undefined : renderValue(key),
    subKey: subKey === undefined ? undefined : renderValue(subKey),
    index: entry.index,
    value: hasValue ? renderValue(value) : undefined,
    lsn: entry.lsn,
    timestamp: entry.timestamp,
    expiresAt: entry.expiresAt,
    eventTime: entry.eventTime,
    version: entry.version,
  });
}

function summaryOf(metadata: SnapshotMetadata): string[] {
  const { kind, storeId, keyGroups, timeline, epoch, fromLsn, lastLsn, lastTimestamp } = metadata;
  const { entryCount, dataBytes, fileBytes, ratio, seed, parents } = metadata;
  return [
    `snapshot    ${kind}, ${keyGroups} key groups`,
    `store       ${storeId}, seed ${seed}`,
    `timeline    ${timeline}, epoch ${epoch}`,
    `LSN         ${kind === 'base' ? '' : `above ${fromLsn} `}to ${lastLsn}`,
    `last commit ${formatTime(lastTimestamp)}`,
    `entries     ${entryCount}`,
    `bytes       ${formatBytes(dataBytes)} in a file of ${formatBytes(fileBytes)}, ratio ${ratio.toFixed(2)}`,
    ...parents.map((digest) => `parent      ${digest}`),
  ];
}

/** Opens a file, with the names that the snapshots before it define. */
async function openNamed(path: string): Promise<Snapshot> {
  const snapshot = await openSnapshot(path);
  if (snapshot.metadata.tables.every(({ operator }) => operator !== undefined)) return snapshot;
  const older = await findOlder(snapshot.metadata);
  if (older.length === 0) return snapshot;
  await snapshot.close();
  return openSnapshot(path, { older });
}

/** The snapshots beside a delta that it continues, oldest first, as far back as they are there. */
async function findOlder(newest: SnapshotMetadata): Promise<SnapshotMetadata[]> {
  const directory = dirname(newest.path);
  const beside: SnapshotMetadata[] = [];
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (path === newest.path || name.endsWith('.part')) continue;
    // A pipe would not be opened before somebody writes to it.
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) continue;
    const metadata = await readMetadata(path);
    if (metadata) beside.push(metadata);
  }
  const chain: SnapshotMetadata[] = [];
  for (let at = newest; at.kind === 'delta';) {
    const before = beside.filter(
      ({ storeId, timeline, seed, keyGroups, lastLsn }) =>
        storeId === at.storeId &&
        timeline === at.timeline &&
        seed === at.seed &&
        keyGroups === at.keyGroups &&
        lastLsn === at.fromLsn,
    );
    const bases = before.filter(({ kind }) => kind === 'base');
    const candidates = bases.length > 0 ? bases : before;
    const next = candidates[0];
    if (!next || next.fromLsn === at.fromLsn) break;
    // Two that define other tables under one number: no name is better than a wrong one.
    if (candidates.some((other) => definedIn(other) !== definedIn(next))) break;
    chain.unshift(next);
    at = next;
  }
  return chain;
}

/** The tables that a snapshot defines, to be compared. */
function definedIn({ tables }: SnapshotMetadata): string {
  return JSON.stringify(tables.map(({ id, operator, state, kind }) => [id, operator, state, kind]));
}

/** Of a file that may be none, damaged, or gone by now. */
async function readMetadata(path: string): Promise<SnapshotMetadata | undefined> {
  try {
    const snapshot = await openSnapshot(path);
    await snapshot.close();
    return snapshot.metadata;
  } catch (error) {
    if (error instanceof TidemarkError && error.kind !== 'internal') return undefined;
    throw error;
  }
}

/** A name as it is, without its control characters. */
function printable(name: string): string {
  return toJson(name).slice(1, -1);
}
