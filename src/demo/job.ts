/*
 * The job, run as a process of its own so that it can be killed: opens the engine, continues at the
 * row that the last durable commit names, and commits state and row together every thousand events.
 * Checkpoints run beside the processing. A job that is to be killed never closes the engine.
 */
import { setImmediate as eventLoopTurn, setTimeout as delay } from 'node:timers/promises';

import { openEngine, StorageError, type CheckpointRecord, type Engine } from '../engine/index.ts';
import { CommitWindow } from './commit-window.ts';
import { openFlights, type Flights } from './flights.ts';
import {
  progressMsMin,
  type JobMessage,
  type JobSettings,
  type Opened,
  type Progress,
} from './messages.ts';
import { eventsPerCheckpoint, eventsPerCommit } from './model.ts';
import { addFlight, jobStates } from './states.ts';

/** Sealed commits that wait for their sync at most. */
const commitsInFlightMax = 8;
/** How often a commit that the engine has no room for is made again, and the time between. */
const overloadedMax = 1000;
const overloadedDelayMs = 5;

class Job {
  readonly #engine: Engine;
  readonly #settings: JobSettings;
  readonly #window = new CommitWindow(commitsInFlightMax);
  readonly #startRow: number;
  #row: number;
  #reachedSent = false;
  #sentMs = 0;
  #checkpoint: Promise<unknown> = Promise.resolve();
  #checkpointing = false;
  #checkpoints = 0;
  #checkpointBytes = 0;

  constructor(engine: Engine, settings: JobSettings, startRow: number) {
    this.#engine = engine;
    this.#settings = settings;
    this.#startRow = startRow;
    this.#row = startRow;
    engine.on('checkpoint', (record) => this.#published(record));
    engine.on('merge', (record) => this.#published(record));
  }

  /** Processes every event that is left. */
  async run(flights: Flights): Promise<void> {
    const { events } = this.#settings;
    const states = jobStates(this.#engine);
    for await (const batch of flights.read(this.#startRow, events)) {
      for (let row = batch.from; row < batch.to; row++) {
        addFlight(states, batch, row);
        if ((row + 1) % eventsPerCommit === 0 || row + 1 === events) await this.#commit(row + 1);
      }
    }
    await this.#window.drain();
    send({ kind: 'progress', ...this.progress() });
    await this.#checkpoint;
  }

  progress(): Progress {
    const durable = this.#startRow + this.#window.acknowledged * eventsPerCommit;
    return {
      durableRow: Math.min(durable, this.#row),
      events: this.#row - this.#startRow,
      commits: this.#window.acknowledged,
      checkpointing: this.#checkpointing,
      checkpoints: this.#checkpoints,
      logBytes: this.#engine.stats().log.bytes,
      checkpointBytes: this.#checkpointBytes,
    };
  }

  async #commit(row: number): Promise<void> {
    this.#row = row;
    const { commit } = await this.#seal(row);
    await this.#window.add(commit);
    if (row % eventsPerCheckpoint === 0) await this.#startCheckpoint();
    this.#report();
    // Lets the log start to write this commit, and end earlier ones, while the next is worked on.
    await eventLoopTurn();
  }

  /**
   * Seals the transaction; the commit is in flight then. One that is refused for want of room leaves
   * the transaction open, and is made again when earlier commits are through.
   */
  async #seal(row: number): Promise<{ readonly commit: Promise<unknown> }> {
    for (let attempt = 1; ; attempt++) {
      const { sealedLsn } = this.#engine;
      const commit = this.#engine.commit({ positions: { flights: row } });
      if (this.#engine.sealedLsn > sealedLsn) return { commit };
      try {
        await commit;
      } catch (error) {
        const overloaded = error instanceof StorageError && error.code === 'OVERLOADED';
        if (!overloaded || attempt === overloadedMax) throw error;
      }
      await this.#window.drain();
      await delay(overloadedDelayMs);
    }
  }

  /** Starts a checkpoint, which is waited for when the next is due; one that fails ends the job. */
  async #startCheckpoint(): Promise<void> {
    await this.#checkpoint;
    this.#checkpointing = true;
    this.#checkpoint = this.#engine.checkpoint().finally(() => {
      this.#checkpointing = false;
    });
  }

  /** A checkpoint writes one snapshot: the delta at the end of its chain, or a new base. */
  #published({ kind, chain }: CheckpointRecord): void {
    this.#checkpoints++;
    this.#checkpointBytes += chain.at(kind === 'delta' ? -1 : 0)?.bytes ?? 0;
  }

  #report(): void {
    const { killRow } = this.#settings;
    if (killRow !== undefined && !this.#reachedSent && this.#row >= killRow) {
      this.#reachedSent = true;
      send({ kind: 'reached' });
    }
    const now = performance.now();
    if (now - this.#sentMs < progressMsMin) return;
    this.#sentMs = now;
    send({ kind: 'progress', ...this.progress() });
  }
}

function send(message: JobMessage): void {
  if (process.send === undefined) throw new Error('the job is started by the demo, not by hand');
  process.send(message);
}

async function main(settings: JobSettings): Promise<void> {
  // Without its parent nobody would end the job.
  const orphaned = (): never => process.exit(1);
  process.once('disconnect', orphaned);
  const flights = await openFlights();
  send({ kind: 'opening' });
  const started = performance.now();
  const engine = await openEngine({
    dir: settings.dir,
    restoreSecondsMax: settings.restoreSecondsMax,
    ...(settings.keepPast && { retention: false }),
  });
  const opened = describeOpening(engine, performance.now() - started);
  send({ kind: 'opened', ...opened });
  const job = new Job(engine, settings, opened.row);
  await job.run(flights);
  if (settings.killRow !== undefined) {
    // A job that resumed behind its row, or is quicker than the signal, stays open to be struck.
    send({ kind: 'reached' });
    return;
  }
  await engine.close();
  send({ kind: 'done', ...job.progress() });
  process.off('disconnect', orphaned);
  process.disconnect();
}

function describeOpening(engine: Engine, openMs: number): Opened {
  const row: unknown = engine.positions['flights'] ?? 0;
  if (typeof row !== 'number') throw new Error(`the committed position is no row: ${String(row)}`);
  const { replayedCommits, chainLength, estimatedMs } = engine.recovery;
  return { openMs, row, replayedCommits, chain: chainLength, estimatedMs };
}

await main(JSON.parse(process.argv[2] ?? '') as JobSettings);
