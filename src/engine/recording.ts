/*
 * Wires the recording of the workload to an engine: what the state holds as it begins, and the
 * warning when it ends before its time.
 */
import { BeforeLookup, tablesBefore } from '../checkpoint/tuning/workload-before.ts';
import { WorkloadRecorder } from '../checkpoint/tuning/workload-recorder.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { RecoveryReport } from '../recovery/recover.ts';
import { toHex } from '../std/bytes.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import type { EventHub } from './events.ts';

export interface RecordingInput {
  readonly fs: FileSystem;
  readonly path: string;
  readonly identity: StoreIdentity;
  readonly space: StateSpace;
  /** What the opening found. */
  readonly recovery: RecoveryReport;
  readonly hub: EventHub;
  readonly writer: LogWriter;
}

/** The recording of these options, not begun yet; undefined where none is asked for. */
export function newRecording(
  path: string | undefined,
  input: Omit<RecordingInput, 'path'>,
): Recording | undefined {
  return path === undefined ? undefined : new Recording({ ...input, path });
}

/** The recording of an engine, begun by `open`. */
export class Recording {
  readonly #in: RecordingInput;
  #recorder: WorkloadRecorder | undefined;

  constructor(input: RecordingInput) {
    this.#in = input;
  }

  /** Begins the recording, or goes on with the one there is. Never rejects. */
  async open(): Promise<void> {
    const { fs, path, identity, space, recovery, hub, writer } = this.#in;
    const { images } = space;
    const itemsMax = (table: number): number | undefined =>
      space.loggedDefinitions().find(({ id }) => id === table)?.itemsMax;
    const storeId = toHex(identity.storeId);
    const tables = tablesBefore(images.newestFirst.toReversed(), itemsMax);
    const lookup = new BeforeLookup();
    this.#recorder = await WorkloadRecorder.open({
      fs,
      path,
      storeId: identity.storeId,
      start: { storeId, keyGroups: identity.keyGroups, lsn: recovery.lsn, tables },
      timestamp: space.lastTimestamp,
      sampling: {
        seed: images.seed,
        itemsMax,
        before: (key, itemsMax) => lookup.find(key, images.newestFirst, itemsMax),
      },
      logBytes: () => writer.stats().bytes,
      ended: (error) => {
        const text = error instanceof Error ? error.message : String(error);
        const message = `the recording of the workload has ended: ${text}`;
        hub.warn({ code: 'RECORDING_ENDED', message, details: { path, error } });
      },
    });
  }

  /** Takes in a commit that was sealed. Never throws. */
  commit(lsn: number, record: Uint8Array): void {
    this.#recorder?.commit(lsn, record);
  }

  /** Writes what is left. Never rejects. */
  async close(): Promise<void> {
    await this.#recorder?.close();
  }
}
