/*
 * Tries one damaged disk after another and counts what became of them. The default run takes all bytes
 * of headers and a stride of the rest; with TIDEMARK_CORRUPTION=1 every byte is tried (with 7 one of
 * seven), and every disk is looked at by readers too. A failure tells the command that repeats it.
 */
import { expect } from 'vitest';
import type { Damage } from './damages.ts';
import { judge, type Outcome } from './judge.ts';
import { kindOf } from './kinds.ts';
import { endsInZeros } from './proof.ts';
import type { Sample } from './stores.ts';

const asked = process.env['TIDEMARK_CORRUPTION'];
/** In a long run, one byte of so many is tried, and all else. */
export const longStride: number | undefined = asked === undefined ? undefined : checkStride(asked);
export const isLong: boolean = longStride !== undefined;
/** Time for a test, milliseconds. */
export const timeout: number = isLong ? 24 * 3_600_000 : 300_000;
/** Only disks in whose words this stands. */
const only = process.env['TIDEMARK_CORRUPTION_ONLY'];
/** One disk of so many is looked at by readers too. */
const readersEvery = isLong ? 1 : 5;
/** Failures that are told; there may be more. */
const failuresMost = 5;

/** How often what happened. */
export interface Counts {
  tried: number;
  /** Refused with a typed error, nothing changed. */
  refused: number;
  /** Opened with everything; the opening, the engine, or `verifyStore` told of the damage. */
  reported: number;
  /** Opened with everything, and nobody needs what was changed. */
  unneeded: number;
  /** Opened with less, told as a torn tail or damaged history; nothing proved was lost. */
  cut: number;
  /** Opened with less, and nobody can tell: only what is behind the last proof, of the newest file. */
  unseen: number;
}

/** What becomes of one disk. */
export type Try = (damage: Damage, readers: boolean) => Promise<Outcome>;

/** Tries them all. @throws with every way to break the promise that was found */
export async function sweep(
  sample: Sample,
  damages: Iterable<Damage>,
  tryOne: Try = (damage, readers) => judge(sample, damage, { readers }),
): Promise<Counts> {
  const counts: Counts = { tried: 0, refused: 0, reported: 0, unneeded: 0, cut: 0, unseen: 0 };
  const failures: string[] = [];
  for (const damage of damages) {
    if (only !== undefined && !damage.what.includes(only)) continue;
    if (failures.length >= failuresMost) break;
    const readers = counts.tried++ % readersEvery === 0;
    try {
      const outcome = await tryOne(damage, readers);
      counts[classOf(sample, damage, outcome)]++;
    } catch (error) {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      failures.push(`${sample.name}: ${damage.what}\n${why}`);
    }
  }
  if (failures.length === 0) return counts;
  const again = `TIDEMARK_CORRUPTION=1 TIDEMARK_CORRUPTION_ONLY='…' npx vitest run test/corruption`;
  throw new Error(`${failures.join('\n\n')}\n\nto repeat, with the words above: ${again}`);
}

/** Every so many, from the first on; all in a long run. */
export function* oneIn<T>(every: number, all: Iterable<T>): Generator<T> {
  let at = 0;
  for (const one of all) if (isLong || at++ % every === 0) yield one;
}

/** Demands that something happened more often than that; not where only some disks were tried. */
export function expectMore<N extends string>(
  counts: Readonly<Record<N, number>>,
  name: N,
  than: number,
): void {
  if (only === undefined) expect(counts[name], name).toBeGreaterThan(than);
}

/** Tells how much was tried, for those who read the run. */
export function tell(what: string, { tried, ...others }: Counts): void {
  const parts = Object.entries(others).map(([name, count]) => `${count} ${name}`);
  console.log(`${what}: ${tried} disks: ${parts.join(', ')}`);
}

/** Kinds of which one file is never needed: there is always another way (R3), or nobody reads it. */
const spare: ReadonlySet<string> = new Set([
  'snapshot',
  'record',
  'drop mark',
  'recording',
  'segment to come',
]);

function classOf(
  { model, anyRefusal = false }: Sample,
  damage: Damage,
  { refused, lsn, reports, verified }: Outcome,
): Exclude<keyof Counts, 'tried'> {
  const isOne = damage.other === undefined;
  const isSpare = isOne && !anyRefusal && spare.has(kindOf(damage.path));
  if (refused !== undefined) {
    if (isSpare) throw new Error(`refused with ${refused}, though there is another way`);
    return 'refused';
  }
  if (lsn !== model.lsn) {
    if (isSpare) throw new Error(`opened at LSN ${lsn}, though there is another way`);
    if (reports.includes('torn tail') || reports.includes('damaged history')) return 'cut';
    if (damage.hidesEnd && endsInZeros(damage.files)) return 'unseen';
    throw new Error(`opened at LSN ${lsn} without a word`);
  }
  if (reports.length > 0) return 'reported';
  const isTold =
    typeof verified === 'string' ||
    (verified !== undefined && verified.faults.length + verified.notes.length > 0);
  if (isTold) return 'reported';
  if (verified !== undefined && damage.isNeeded) {
    throw new Error('opened without a word, and verifyStore finds nothing');
  }
  return 'unneeded';
}

function checkStride(text: string): number {
  const stride = text === 'all' ? 1 : Number(text);
  if (Number.isInteger(stride) && stride > 0) return stride;
  throw new Error(`TIDEMARK_CORRUPTION is a stride of bytes, 1 for all: ${text}`);
}
