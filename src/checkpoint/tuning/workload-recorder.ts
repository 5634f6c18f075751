/*
 * Records the workload of an open engine into a file (workload-format.ts). A commit is sampled in
 * its own turn, after it was sealed; the file is written beside the work. Nothing that goes wrong
 * here reaches the engine: it ends the recording, and `ended` is told why.
 *
 * Durability: none is promised and nothing is synced. A recording that was cut off counts up to its
 * last whole block, and a gap in its LSNs says what it missed.
 */
import { StorageError, errnoOf, toStorageError } from '../../errors.ts';
import type { FileHandle, FileSystem } from '../../fs/file-system.ts';
import type { WorkloadStart } from './workload.ts';
import { WorkloadEncoder } from './workload-codec.ts';
import {
  encodeWorkloadBlock,
  encodeWorkloadHeader,
  workloadBlockKinds,
  workloadHeaderBytes,
} from './workload-format.ts';
import { scanRecording } from './workload-reader.ts';
import { WorkloadSampler, type WorkloadSamplerInput } from './workload-sampler.ts';

/** Bytes of a body at which a block is written, and commits. */
const BLOCK_BYTES = 64 * 1024;
const BLOCK_COMMITS = 4096;
/** Bytes that may wait for the disk; past it the recording ends. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024;

export interface WorkloadRecorderInput {
  readonly fs: FileSystem;
  readonly path: string;
  readonly storeId: Uint8Array;
  /** The state at the opening. */
  readonly start: WorkloadStart;
  /** Microseconds of the last commit before. */
  readonly timestamp: number;
  readonly sampling: Omit<WorkloadSamplerInput, 'exponents'>;
  /** Bytes of log written since the opening. */
  readonly logBytes: () => number;
  /** The recording ended before its time. */
  readonly ended: (error: unknown) => void;
}

export class WorkloadRecorder {
  readonly #in: WorkloadRecorderInput;
  readonly #encoder = new WorkloadEncoder();
  #sampler: WorkloadSampler | undefined;
  #handle: FileHandle | undefined;
  #end = 0;
  #firstLsn = 0;
  #timestamp: number;
  #lastTimestamp: number;
  #commits = 0;
  #pendingBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #stopped = false;

  /** Made by `open`. */
  constructor(input: WorkloadRecorderInput) {
    this.#in = input;
    this.#timestamp = input.timestamp;
    this.#lastTimestamp = input.timestamp;
  }

  /** Creates the file, or goes on behind the last whole block of the one there is. */
  static async open(input: WorkloadRecorderInput): Promise<WorkloadRecorder> {
    const recorder = new WorkloadRecorder(input);
    try {
      await recorder.#open();
    } catch (error) {
      await recorder.#stop(error);
    }
    return recorder;
  }

  /** Takes in a commit that was sealed. Never throws; the bytes are only read during the call. */
  commit(lsn: number, record: Uint8Array): void {
    if (this.#stopped || !this.#sampler) return;
    try {
      const commit = this.#sampler.commit(lsn, record);
      if (this.#commits === 0) this.#begin(lsn);
      this.#encoder.add(commit);
      this.#lastTimestamp = commit.timestamp;
      this.#commits++;
      if (this.#encoder.length >= BLOCK_BYTES || this.#commits >= BLOCK_COMMITS) this.#flush();
    } catch (error) {
      void this.#stop(error);
    }
  }

  /** Writes what is left and lets the file go. Never rejects. */
  async close(): Promise<void> {
    if (!this.#stopped) this.#flush();
    this.#stopped = true;
    await this.#writing;
    const handle = this.#handle;
    this.#handle = undefined;
    try {
      await handle?.close();
    } catch (error) {
      this.#in.ended(toStorageError(error, 'close', this.#in.path));
    }
  }

  async #open(): Promise<void> {
    const { fs, path, storeId, start, sampling } = this.#in;
    const found = await fs.stat(path);
    this.#handle = await fs.open(path, found ? 'write' : 'create');
    const bytes = new Uint8Array(found?.bytes ?? 0);
    if (bytes.length > 0) await this.#handle.read(bytes, 0);
    let exponents: ReadonlyMap<number, number> = new Map();
    if (bytes.length === 0) {
      await this.#handle.write(encodeWorkloadHeader(storeId), 0);
      this.#end = workloadHeaderBytes;
    } else {
      const known = scanRecording(bytes, path);
      if (known.storeId !== start.storeId) {
        throw new StorageError('IO', `the recording is of another store: ${path}`, { path });
      }
      exponents = known.exponents;
      this.#end = known.end;
      await this.#handle.truncate(known.end);
    }
    this.#sampler = new WorkloadSampler({ ...sampling, exponents });
    const { keyGroups, lsn, tables } = start;
    const body = new TextEncoder().encode(JSON.stringify({ keyGroups, tables }));
    const { start: kind } = workloadBlockKinds;
    const timestamp = this.#timestamp;
    this.#write(
      encodeWorkloadBlock({ kind, firstLsn: lsn + 1, timestamp, logBytes: 0, commits: 0 }, body),
    );
    await this.#writing;
  }

  #begin(lsn: number): void {
    this.#firstLsn = lsn;
    this.#timestamp = this.#lastTimestamp;
    this.#encoder.begin(this.#timestamp);
  }

  #flush(): void {
    if (this.#commits === 0) return;
    const header = {
      kind: workloadBlockKinds.commits,
      firstLsn: this.#firstLsn,
      timestamp: this.#timestamp,
      logBytes: this.#in.logBytes(),
      commits: this.#commits,
    };
    this.#commits = 0;
    this.#write(encodeWorkloadBlock(header, this.#encoder.take()));
  }

  #write(block: Uint8Array): void {
    const { path } = this.#in;
    if (this.#pendingBytes + block.length > PENDING_BYTES_MAX) {
      throw new StorageError('OVERLOADED', `the recording cannot be written in time: ${path}`, {
        path,
        pendingBytes: this.#pendingBytes,
      });
    }
    const at = this.#end;
    this.#end += block.length;
    this.#pendingBytes += block.length;
    this.#writing = this.#writing.then(async () => {
      if (!this.#handle) return;
      try {
        await this.#handle.write(block, at);
        this.#pendingBytes -= block.length;
      } catch (error) {
        await this.#stop(error);
      }
    });
  }

  async #stop(reason: unknown): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const { path, ended } = this.#in;
    ended(errnoOf(reason) === undefined ? reason : toStorageError(reason, 'record', path));
    const handle = this.#handle;
    this.#handle = undefined;
    // The reason has been told; what the handle says to its end adds nothing.
    await handle?.close().catch(() => {});
  }
}
