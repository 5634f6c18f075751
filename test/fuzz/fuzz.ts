/*
 * Runs a decoder over mutated bytes. It gives a value, which the caller then encodes and compares, or
 * throws one of the errors for damage; never another exception, and never memory out of proportion to
 * what it was given.
 *
 *     TIDEMARK_FUZZ=20 TIDEMARK_FUZZ_SEED=7 npx vitest run test/fuzz
 *
 * `TIDEMARK_FUZZ` multiplies the number of runs.
 */
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { CorruptionError, IncompatibleError } from '../../src/errors.ts';
import { mutated, mutations, type Mutation } from './mutations.ts';

const times = Number(process.env['TIDEMARK_FUZZ'] ?? 1);
const seed = Number(process.env['TIDEMARK_FUZZ_SEED'] ?? 20_261);

/** What became of a decoding: `undefined` when the bytes were refused as they have to be. */
export type Outcome<T> = { readonly value: T } | undefined;

/** The value, or nothing where the bytes are refused with one of the errors for damage. */
export function outcomeOf<T>(decode: () => T): Outcome<T> {
  try {
    return { value: decode() };
  } catch (error) {
    refusedAsDamage(error);
    return undefined;
  }
}

/** As `outcomeOf`, for what reads files. */
export async function outcomeOfTask<T>(decode: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await decode() };
  } catch (error) {
    refusedAsDamage(error);
    return undefined;
  }
}

function refusedAsDamage(error: unknown): void {
  if (error instanceof CorruptionError || error instanceof IncompatibleError) return;
  throw new Error(`not an error for damage: ${String(error)}`, { cause: error });
}

/** What is done with one decoder. */
export interface Fuzzing {
  /** Sound encodings. */
  readonly samples: readonly Uint8Array[];
  /** Runs of the default mode. */
  readonly runs: number;
  /** Mends checksums behind a mutation, so that the decoder behind them is reached. */
  readonly seal?: (bytes: Uint8Array) => Uint8Array;
  /** Decodes, compares what was decoded; true when the bytes were taken. */
  readonly decode: (bytes: Uint8Array) => boolean | Promise<boolean>;
}

/** Mutates samples and decodes them; some have to be taken and some refused, or nothing was tried. */
export async function fuzz({ samples, runs, seal, decode }: Fuzzing): Promise<void> {
  const counts = { taken: 0, refused: 0 };
  const property = fc.asyncProperty(
    fc.nat(samples.length - 1),
    fc.nat(samples.length - 1),
    mutations,
    async (index: number, otherIndex: number, changes: readonly Mutation[]) => {
      const raw = mutated(samples[index]!, changes, samples[otherIndex]!);
      const isTaken = await decode(seal ? seal(raw) : raw);
      if (isTaken) counts.taken++;
      else counts.refused++;
      if (changes.length === 0) expect(isTaken, 'a sound encoding is taken').toBe(true);
    },
  );
  await fc.assert(property, { seed, numRuns: Math.max(1, Math.round(runs * times)) });
  if (runs * times < 100) return;
  expect(counts.taken).toBeGreaterThan(0);
  expect(counts.refused).toBeGreaterThan(0);
}

/** The same for what a plain property draws. */
export function fuzzParameters(runs: number): { seed: number; numRuns: number } {
  return { seed, numRuns: Math.max(1, Math.round(runs * times)) };
}

const guarded = ['Uint8Array', 'Uint32Array', 'Float64Array', 'SharedArrayBuffer'] as const;

/**
 * Runs with a bound on what one array of numbers may take at once, and all of them together: a size
 * that is only declared must not be believed.
 */
export async function withinMemory<T>(bytesMost: number, run: () => T | Promise<T>): Promise<T> {
  const scope = globalThis as unknown as Record<string, new (size: unknown) => object>;
  const originals = guarded.map((name) => scope[name]!);
  let total = 0;
  guarded.forEach((name, i) => {
    const original = originals[i]!;
    scope[name] = new Proxy(original, {
      construct(target, args: unknown[], newTarget) {
        const width = (target as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
        if (typeof args[0] === 'number') total += args[0] * width;
        if (total > bytesMost) {
          throw new Error(`${String(args[0])} elements asked for: above ${bytesMost} bytes`);
        }
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  });
  try {
    return await run();
  } finally {
    guarded.forEach((name, i) => {
      scope[name] = originals[i]!;
    });
  }
}
