/*
 * The course of an opening: its phases, and how much of each is done. Made by the engine, told by the
 * recovery; what is asked of it between steps ends an opening that takes too long.
 */
import { LimitedRun } from './limited-run.ts';
import type { LoadedPart } from '../threads/snapshot-load.ts';
import type { ReplayedPiece } from '../threads/tail-build.ts';

/**
 * What an opening is doing: `plan` looks for the way, `load` reads snapshots, `replay` the log behind
 * them, `openLog` makes the log ready to be written.
 */
export type OpeningPhase = 'plan' | 'load' | 'replay' | 'openLog';

export class OpeningRun extends LimitedRun<OpeningPhase> {
  /** Loads begin: a chain of so many bytes. */
  loads(bytesTotal: number): (part: LoadedPart) => void {
    return this.#parts('load', bytesTotal);
  }

  /** The log behind the chain begins to be read. */
  replays(bytesTotal: number): (piece: ReplayedPiece) => void {
    const tell = this.#parts('replay', bytesTotal);
    return ({ logBytes, entryCount }) => tell({ storedBytes: logBytes, entryCount });
  }

  #parts(
    phase: OpeningPhase,
    bytesTotal: number,
  ): (part: Pick<LoadedPart, 'storedBytes' | 'entryCount'>) => void {
    let bytes = 0;
    let entries = 0;
    this.progress(phase, 0, bytesTotal);
    return ({ storedBytes, entryCount }) => {
      bytes += storedBytes;
      entries += entryCount;
      this.progress(phase, Math.min(bytes, bytesTotal), bytesTotal, entries);
    };
  }
}
