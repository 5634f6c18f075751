/*
 * Trims the head of a log that is open for writing: one trim at a time, and none once the writer has
 * stopped (L11). Appends, rotations and checkpoints go on meanwhile; whoever still needs a segment
 * (a task that reads ranges, a record that names a position) is the caller's to know.
 */
import type { FileSystem } from '../fs/file-system.ts';
import type { LogSegments } from './log-segments.ts';
import type { LogWriter } from './log-writer.ts';
import { applyTrim, planTrim, type KeptFrom, type TrimPlan } from './trim-segments.ts';

export interface LogTrimmerInput {
  readonly fs: FileSystem;
  /** Of the segments. */
  readonly directory: string;
  readonly writer: Pick<LogWriter, 'assertOpen'>;
  readonly segments: LogSegments;
}

export class LogTrimmer {
  readonly #input: LogTrimmerInput;
  #running: Promise<unknown> = Promise.resolve();

  constructor(input: LogTrimmerInput) {
    this.#input = input;
  }

  /**
   * Gives up the segments below the one that `keepFrom` names when it is this trim's turn; undefined:
   * nothing goes. A checkpoint's position names its segment. Resolves with what went.
   * @throws ClosedError CLOSED, POISONED: nothing more is removed
   */
  trim(keepFrom: () => KeptFrom | undefined): Promise<TrimPlan | undefined> {
    const trimmed = this.#running.then(() => this.#trim(keepFrom));
    // The next one starts when this one has ended, well or not; its caller hears of a failure.
    this.#running = trimmed.catch(() => {});
    return trimmed;
  }

  /** Resolves when no trim is under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #trim(keepFrom: () => KeptFrom | undefined): Promise<TrimPlan | undefined> {
    const { fs, directory, writer, segments } = this.#input;
    writer.assertOpen();
    const keep = keepFrom();
    if (!keep) return undefined;
    // The segment that takes appends stays, whatever the caller asks for.
    const newest = segments.newest.header;
    const from = keep.segment > newest.number ? { ...keep, segment: newest.number } : keep;
    const plan = await planTrim(fs, directory, from);
    await applyTrim(fs, directory, plan, {
      assertWritable: () => writer.assertOpen(),
      forget: (below) => segments.forgetBelow(below),
    });
    return plan;
  }
}
