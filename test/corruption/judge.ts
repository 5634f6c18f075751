/*
 * What becomes of a damaged disk: readers and an engine open it, and each outcome is held to the
 * promise. A refusal is one of the typed errors of damage and changes nothing; what opens shows exactly
 * what some commit left, none older than what the bytes still prove, and goes on.
 */
import type { Engine, EngineOptions, Reader, StoreVerification } from '../../src/engine/index.ts';
import { TidemarkError, type ErrorCode } from '../../src/errors.ts';
import type { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { SimulatedClock } from '../../src/testing/index.ts';
import type { Damage } from './damages.ts';
import { differenceOf, dir, diskOf, filesOf } from './disk.ts';
import { stateOf, stateOfReader, type Model } from './model.ts';
import { survivingProof } from './proof.ts';
import { openOn, type Sample } from './stores.ts';

/** What an opening may be refused with, and what reading may meet. */
export const damageCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CORRUPT_FRAME',
  'CORRUPT_SEGMENT',
  'CORRUPT_SNAPSHOT',
  'CORRUPT_RECORD',
  'CORRUPT_STORE',
  'BROKEN_CHAIN',
  'LOG_HOLE',
  'UNSUPPORTED_FORMAT',
  'STORE_MISMATCH',
  'NOT_A_STORE',
  'CLAIMED',
]);

/** What a reader of a kept moment may meet beside: its record, or what leads to it, is gone. */
const goneCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...damageCodes,
  'SAVEPOINT_NOT_FOUND',
  'CHECKPOINT_NOT_FOUND',
  'OUT_OF_RETENTION',
]);

/** What became of one disk. */
export interface Outcome {
  /** Undefined: it opened. */
  readonly refused?: ErrorCode;
  /** Of what opened. */
  readonly lsn?: number;
  /** What the opening, or the engine behind it, said of the damage. */
  readonly reports: readonly string[];
  /** What `verifyStore` found, where it was asked. */
  readonly verified?: Pick<StoreVerification, 'faults' | 'notes'> | ErrorCode;
}

/** How a disk is tried. */
export interface JudgeOptions {
  /** Whether readers, `inspectStore` and `verifyStore` look at it first. */
  readonly readers: boolean;
  /** Of the opening. @defaultValue as the store was written */
  readonly options?: Partial<EngineOptions>;
}

/** Tries one disk. @throws what breaks the promise */
export async function judge(
  sample: Sample,
  damage: Damage,
  { readers, options = {} }: JudgeOptions,
): Promise<Outcome> {
  const proved = survivingProof(damage.files, sample.limits);
  const fs = await diskOf(damage.files);
  const verified = readers ? await readEverything(sample, fs, proved) : undefined;
  const told = verified && { verified };
  const opening = await typed(openOn(fs, options, 77));
  if ('code' in opening) {
    const path = differenceOf(damage.files, await filesOf(fs));
    check(path === undefined, `the refused opening has changed ${path}`);
    return { refused: opening.code, reports: [], ...told };
  }
  const engine = opening.value;
  const { lsn } = engine.recovery;
  check(lsn >= proved, `opened at LSN ${lsn}, though ${proved} is proved`);
  check(lsn <= sample.model.lsn, `opened at LSN ${lsn}, which nobody has committed`);
  const reports = await goOn(engine, sample.model.copyAt(lsn), fs);
  return { lsn, reports, ...told };
}

/** Works on, and opens once more; says what was reported on the way. */
async function goOn(engine: Engine, model: Model, fs: MemoryFileSystem): Promise<string[]> {
  const reports = new Set<string>();
  const { recovery } = engine;
  if (recovery.tornTail) reports.add('torn tail');
  if (recovery.damagedHistory) reports.add('damaged history');
  if (recovery.skipped.length > 0) reports.add('passed over');
  engine.on('warning', ({ code }) => reports.add(code));
  engine.on('failure', () => reports.add('failure'));
  // What is in files yet, and damaged there, throws until the chain has been made anew.
  const before = read(engine);
  if (before !== undefined) check(before === model.shown[model.lsn], 'serves another state');
  const loaded = await typed(engine.prefetch());
  if (before === undefined || 'code' in loaded) reports.add('found later');
  if ('code' in loaded) {
    const rebuilt = await typed(engine.checkpoint());
    if ('code' in rebuilt) {
      await typed(engine.close());
      return [...reports, `lost: ${rebuilt.code}`];
    }
    check(read(engine) === model.shown[model.lsn], 'serves another state behind a rebuild');
  }
  model.change(engine, recovery.timeline, 50);
  await engine.commit({ positions: { source: model.lsn } });
  await engine.checkpoint();
  check(read(engine) === model.shown[model.lsn], 'serves another state behind a checkpoint');
  await engine.close();
  const again = await openOn(fs, {}, 78);
  check(again.recovery.lsn === model.lsn, `opens again at LSN ${again.recovery.lsn}`);
  check(read(again) === model.shown[model.lsn], 'serves another state when opened again');
  await again.close();
  return [...reports];
}

/** Everything that an engine shows; undefined: it says that it is damaged. */
function read(engine: Engine): string | undefined {
  try {
    return stateOf(engine);
  } catch (error) {
    checkTyped(error);
    return undefined;
  }
}

/** Whoever reads without opening for writing. */
async function readEverything(
  sample: Sample,
  fs: MemoryFileSystem,
  proved: number,
): Promise<NonNullable<Outcome['verified']>> {
  const on = { fs, clock: new SimulatedClock() };
  const before = await filesOf(fs);
  const opened = await typed(openReaderWith({ dir }, on));
  if ('value' in opened) {
    const reader = opened.value;
    check(reader.lsn >= proved, `a reader opened at LSN ${reader.lsn}, though ${proved} is proved`);
    await readAt(reader, sample.model.shown[reader.lsn]);
  }
  for (const { at, shown } of sample.moments) {
    const found = await typed(openReaderWith({ dir, at }, on), goneCodes);
    if ('value' in found) await readAt(found.value, shown);
  }
  await typed(inspectStoreWith({ dir }, on));
  const verified = await typed(verifyStoreWith({ dir }, on));
  check(differenceOf(before, await filesOf(fs)) === undefined, 'a reader has written');
  return 'value' in verified ? verified.value : verified.code;
}

async function readAt(reader: Reader, shown: string | undefined): Promise<void> {
  const found = await typed(Promise.resolve().then(() => stateOfReader(reader)));
  if ('value' in found) check(found.value === shown, 'a reader shows another state');
  await reader.close();
}

/** The value, or the code of the damage that was told. @throws any other error */
export async function typed<T>(
  call: Promise<T>,
  codes: ReadonlySet<ErrorCode> = damageCodes,
): Promise<{ value: T } | { code: ErrorCode }> {
  try {
    return { value: await call };
  } catch (error) {
    return { code: checkTyped(error, codes) };
  }
}

function checkTyped(error: unknown, codes: ReadonlySet<ErrorCode> = damageCodes): ErrorCode {
  if (error instanceof TidemarkError && codes.has(error.code)) return error.code;
  throw error;
}

export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
