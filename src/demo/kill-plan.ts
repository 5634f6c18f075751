/*
 * When the job is killed. The rows are spread over the run, one drawn from each of as many equal
 * parts as there are kills; the short random delay behind each lets the kill fall into whatever the
 * engine is doing then: sealing, writing, syncing, building a delta, publishing a record. Every
 * fourth kill, from the third on, strikes while the restarted job is opening the engine instead.
 */
import { seededRandom } from './random.ts';

/** Behind a row. */
const workingDelayMsMax = 40;
/** Behind the start of opening. */
const openingDelayMsMax = 25;

/** One kill. */
export interface Kill {
  /** Whether it strikes a job that works on events, or one that opens the engine. */
  readonly phase: 'working' | 'opening';
  /** The delay starts when events up to this row have been committed; 0 when opening. */
  readonly row: number;
  /** Milliseconds from then to the signal. */
  readonly delayMs: number;
}

/** Plans the kills of a run, in their order; the same for the same seed. */
export function planKills(events: number, kills: number, seed: number): Kill[] {
  const random = seededRandom(seed);
  return Array.from({ length: kills }, (_, index): Kill => {
    const row = Math.floor(((index + random()) / kills) * events);
    const delay = random();
    return index % 4 === 2
      ? { phase: 'opening', row: 0, delayMs: Math.floor(delay * openingDelayMsMax) }
      : { phase: 'working', row, delayMs: Math.floor(delay * workingDelayMsMax) };
  });
}
