/*
 * In which steps a chain of files becomes one file, and by how many threads. Pure.
 *
 * One pass reads and writes everything once, so it is what `sequential` and `parallel` do. `optimal`
 * asks what the threads are worth: a range of a merge has about 32 MiB of input, and a thread without
 * a range of its own only costs its start. More files than `inputsMax` are brought down to it first,
 * the smallest neighbours with each other, so that no pass holds slices of hundreds of files: memory,
 * not time.
 */
import type { MergeStrategy } from '../record-notes.ts';

/** A file of the chain. */
export interface PlannedFile {
  readonly kind: 'base' | 'delta';
  /** Of the file. */
  readonly bytes: number;
}

/** One merge of neighbours in the chain, as it stands after the steps before. */
export interface MergeStep {
  readonly start: number;
  readonly count: number;
  /** For people. */
  readonly why: string;
}

/** The steps, of which the last one leaves one file. */
export interface StepPlan {
  readonly steps: readonly MergeStep[];
  readonly threads: number;
}

/** Inputs of one pass of `optimal`. */
export const inputsMax = 64;
const BYTES_PER_THREAD = 32 * 1024 * 1024;

export function planSteps(
  files: readonly PlannedFile[],
  { strategy, threadsMax }: { readonly strategy: MergeStrategy; readonly threadsMax: number },
): StepPlan {
  const all = (count: number, why: string): MergeStep => ({ start: 0, count, why });
  if (strategy !== 'optimal') {
    return { steps: [all(files.length, `${strategy}: one pass over all`)], threads: threadsMax };
  }
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const threads = Math.max(1, Math.min(threadsMax, Math.ceil(total / BYTES_PER_THREAD)));
  const steps: MergeStep[] = [];
  let left = [...files];
  while (left.length > inputsMax) {
    const step = smallestRun(left);
    steps.push(step);
    const bytes = left
      .slice(step.start, step.start + step.count)
      .reduce((sum, file) => sum + file.bytes, 0);
    left = left.toSpliced(step.start, step.count, { kind: 'delta', bytes });
  }
  steps.push(all(left.length, `all ${left.length} files in one pass`));
  return { steps, threads };
}

/** The run of deltas with the least bytes that brings the number of files down to what a pass takes. */
function smallestRun(files: readonly PlannedFile[]): MergeStep {
  const count = Math.min(inputsMax, files.length - inputsMax + 1);
  const first = files[0]?.kind === 'base' ? 1 : 0;
  let best = first;
  let bestBytes = Number.POSITIVE_INFINITY;
  for (let start = first; start + count <= files.length; start++) {
    const bytes = files.slice(start, start + count).reduce((sum, file) => sum + file.bytes, 0);
    if (bytes < bestBytes) {
      best = start;
      bestBytes = bytes;
    }
  }
  const why = `the ${count} smallest neighbours first, of ${files.length} files`;
  return { start: best, count, why };
}
