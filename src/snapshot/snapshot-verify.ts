/*
 * Checks a snapshot and reports every fault that it finds instead of stopping at the first: what
 * `verify` and scrubbing show. Reads only, and holds one slice at most.
 */
import { createHash } from 'node:crypto';
import { CorruptionError, IncompatibleError, toStorageError } from '../errors.ts';
import type { FileHandle } from '../fs/file-system.ts';
import { toHex } from '../std/bytes.ts';
import type { SlabPool } from './slab-pool.ts';
import { findSliceFault } from './slice-check.ts';
import { encodeSnapshotHeader } from './snapshot-format.ts';
import { SnapshotReader, type BlockPlace, type Verification } from './snapshot-reader.ts';
import type { SnapshotFooter } from './snapshot-footer.ts';
import type { Turns } from './task-context.ts';

/** Something that is wrong with a snapshot. */
export interface SnapshotFault {
  readonly path: string;
  readonly offset: number;
  readonly what: string;
  readonly table?: number;
  /** Checksums hold, and what they cover is wrong: what was loaded of it is no better. */
  readonly ofContents?: boolean;
}

/** What a snapshot is checked against, and how far. */
export interface SnapshotChecks {
  /** SHA-256 that its name says. */
  readonly sha256?: string | undefined;
  /** Size that its record says. */
  readonly bytes?: number | undefined;
  /**
   * `none` and `basic`: header, footer, sizes and tables of blocks; `standard`: also every block;
   * `full`: also the digest, and the index against the entries.
   */
  readonly level: Verification;
  /** Slices to check. @defaultValue all */
  readonly sliceIndexes?: readonly number[];
  /** Leaves out what is not of those slices. @defaultValue false */
  readonly onlySlices?: boolean;
}

const READ_BYTES = 1024 * 1024;

/** SHA-256 of a file in lower-case hexadecimal. */
export async function hashFile(handle: FileHandle, path: string, turns: Turns): Promise<string> {
  const hash = createHash('sha256');
  const piece = new Uint8Array(READ_BYTES);
  try {
    for (let at = 0; ;) {
      const read = await handle.read(piece, at);
      hash.update(piece.subarray(0, read));
      at += read;
      if (read < piece.length) return hash.digest('hex');
      if (turns.spend(read)) await turns.pause();
    }
  } catch (error) {
    throw toStorageError(error, 'read', path);
  }
}

/** What checking a file gave. */
export interface FoundFaults {
  readonly faults: SnapshotFault[];
  /** Undefined: its footer cannot be read. */
  readonly footer: SnapshotFooter | undefined;
}

/** All faults of an open file that is to be a snapshot. */
export async function findSnapshotFaults(
  handle: FileHandle,
  path: string,
  checks: SnapshotChecks,
  tools: { readonly slabs: SlabPool; readonly turns: Turns },
): Promise<FoundFaults> {
  const faults: SnapshotFault[] = [];
  const { level, onlySlices = false } = checks;
  if (!onlySlices) await checkDigest(handle, path, { checks, faults, turns: tools.turns });
  const reader = await collect(faults, path, () => SnapshotReader.open(handle, path));
  if (!reader) return { faults, footer: undefined };
  if (!onlySlices) await checkWhole(reader, checks, faults);
  for (const index of checks.sliceIndexes ?? reader.footer.slices.keys()) {
    const before = faults.length;
    await checkBlocks(reader, index, { faults, turns: tools.turns, level });
    if (level !== 'full' || faults.length > before) continue;
    await checkEntries(reader, index, faults, tools);
  }
  return { faults, footer: reader.footer };
}

async function checkDigest(
  handle: FileHandle,
  path: string,
  { checks, faults, turns }: { checks: SnapshotChecks; faults: SnapshotFault[]; turns: Turns },
): Promise<void> {
  const { sha256, level } = checks;
  if (level !== 'full' || sha256 === undefined) return;
  const actual = await hashFile(handle, path, turns);
  if (actual !== sha256) {
    faults.push({ path, offset: 0, what: `digest is ${actual}`, ofContents: true });
  }
}

async function checkWhole(
  reader: SnapshotReader,
  { bytes }: SnapshotChecks,
  faults: SnapshotFault[],
): Promise<void> {
  const { path } = reader;
  if (bytes !== undefined && bytes !== reader.bytes) {
    const what = `has ${reader.bytes} bytes where ${bytes} are due`;
    faults.push({ path, offset: reader.bytes, what });
  }
  const front = await collect(faults, path, () => reader.readFrontHeader());
  if (!front) return;
  const same = toHex(encodeSnapshotHeader(front)) === toHex(encodeSnapshotHeader(reader.header));
  if (!same) faults.push({ path, offset: 0, what: 'header and footer differ' });
}

async function checkBlocks(
  reader: SnapshotReader,
  index: number,
  to: { readonly faults: SnapshotFault[]; readonly turns: Turns; readonly level: Verification },
): Promise<void> {
  const { faults, turns, level } = to;
  const { table } = reader.slice(index);
  const { path } = reader;
  const blocks = await collect(faults, path, () => reader.readBlockTable(index), table);
  if (level === 'none' || level === 'basic') return;
  for (const block of blocks ?? []) {
    await collect(faults, path, () => checkBlock(reader, block), table);
    if (turns.spend(block.storedBytes)) await turns.pause();
  }
}

async function checkBlock(reader: SnapshotReader, block: BlockPlace): Promise<void> {
  reader.checkBlock(block, await reader.readBlocks([block]));
}

async function checkEntries(
  reader: SnapshotReader,
  index: number,
  faults: SnapshotFault[],
  tools: { readonly slabs: SlabPool; readonly turns: Turns },
): Promise<void> {
  const { path } = reader;
  const { table, offset } = reader.slice(index);
  // Blocks have been checked, so that what fails here is what they hold.
  const options = { verification: 'basic', turns: tools.turns } as const;
  const slice = await collect(
    faults,
    path,
    () => reader.loadSlice(index, tools.slabs, options),
    table,
  );
  if (!slice) return;
  const fault = await findSliceFault(slice, reader.header.seed, tools.turns);
  if (fault) {
    const what = `slice ${fault.what}, byte ${fault.offset} of its entries`;
    faults.push({ path, offset, what, table, ofContents: true });
  }
  tools.slabs.release(slice.buffer);
}

/** Runs a step; damage that it finds becomes a fault. Other errors, of the disk say, are thrown. */
async function collect<T>(
  faults: SnapshotFault[],
  path: string,
  step: () => Promise<T>,
  table?: number,
): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    const newer = error instanceof IncompatibleError && error.code === 'UNSUPPORTED_FORMAT';
    if (!newer && !(error instanceof CorruptionError)) throw error;
    const offset = typeof error.details['offset'] === 'number' ? error.details['offset'] : 0;
    const fault = { path, offset, what: error.message };
    faults.push(table === undefined ? fault : { ...fault, table });
    return undefined;
  }
}
