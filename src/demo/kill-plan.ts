/*
 * When the job is killed. Each kill has an equal part of the run, and strikes a short random time after
 * a row of it: while commits are sealed, written and synced. Of every four the second strikes behind a
 * row where a checkpoint starts, and the third while the restarted job is opening the engine.
 */
import { eventsPerCheckpoint } from './model.ts';
import { seededRandom } from './random.ts';

/** What the job is doing when it is to be struck. */
export type KillPhase = 'committing' | 'checkpointing' | 'opening';

/** Milliseconds within which a kill strikes; what it is to hit takes about as long. */
const delayMsMax: Readonly<Record<KillPhase, number>> = {
  committing: 40,
  checkpointing: 300,
  opening: 300,
};

/** One kill. */
export interface Kill {
  readonly phase: KillPhase;
  /** The delay starts when events up to this row are committed; when opening, with the opening. */
  readonly row: number;
  /** Milliseconds from then to the signal. */
  readonly delayMs: number;
}

/** Plans the kills of a run, in their order; the same for the same seed. */
export function planKills(events: number, kills: number, seed: number): Kill[] {
  const random = seededRandom(seed);
  const part = events / kills;
  return Array.from({ length: kills }, (_, index): Kill => {
    const row = Math.floor((index + random()) * part);
    const share = random();
    const at = (phase: KillPhase, row: number): Kill => ({
      phase,
      row,
      delayMs: Math.floor(share * delayMsMax[phase]),
    });
    if (index % 4 === 2) return at('opening', row);
    const checkpointRow = Math.ceil((index * part + 1) / eventsPerCheckpoint) * eventsPerCheckpoint;
    const checkpoints = index % 4 === 1 && checkpointRow < (index + 1) * part;
    return checkpoints ? at('checkpointing', checkpointRow) : at('committing', row);
  });
}
