/*
 * An open file of the simulated file system. Every call passes the gate of its file system, where
 * faults strike and the order of calls is drawn, before it does anything.
 */
import type { FileHandle } from '../fs/file-system.ts';
import type { MemorySpace } from '../fs/memory-space.ts';
import { checkOffset, systemError } from '../fs/system-error.ts';
import { faultError, type Fault, type FileCall } from './faults.ts';
import type { FileChange, SimulatedFile } from './simulated-file.ts';

/** What a handle needs of its file system. */
export interface CallGate {
  readonly space: MemorySpace;
  /** Handles that are open. */
  readonly handles: Set<SimulatedHandle>;
  /** Waits for the call's turn; resolves with the faults that strike it. */
  enter(call: FileCall): Promise<readonly Fault[]>;
  /** As `enter`, for a call that cannot wait: delays are left out. */
  enterNow(call: FileCall): readonly Fault[];
}

/** An open file. */
export class SimulatedHandle implements FileHandle {
  readonly #gate: CallGate;
  readonly #file: SimulatedFile;
  readonly #writable: boolean;
  #underWay = 0;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  constructor(gate: CallGate, file: SimulatedFile, writable: boolean) {
    this.#gate = gate;
    this.#file = file;
    this.#writable = writable;
    file.handles++;
    gate.handles.add(this);
  }

  get path(): string {
    return this.#file.path;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    const call = this.#call('read', { position, bytes: target.byteLength });
    return this.#run(call, (faults) => this.#read(target, position, faults));
  }

  readNow(target: Uint8Array, position: number): number {
    const call = this.#call('readNow', { position, bytes: target.byteLength });
    if (this.#closed) throw systemError('EBADF', 'read', call.path);
    const faults = this.#gate.enterNow(call);
    throwFirst(faults, call);
    return this.#read(target, position, faults);
  }

  write(source: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    const bytes = joined(source);
    const call = this.#call('write', { position, bytes: bytes.byteLength });
    return this.#run(
      call,
      () => this.#write(bytes, position),
      (fault) =>
        this.#write(bytes.subarray(0, Math.min(bytes.byteLength, fault.bytes ?? 0)), position),
    );
  }

  /** Passes the gate twice, as a write and as a sync of nothing else: either may fail. */
  async writeThrough(source: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    const before = this.#file.unsynced();
    await this.write(source, position);
    const own = [...this.#file.unsynced()].filter((change) => !before.has(change));
    await this.#sync(new Set(own));
  }

  sync(): Promise<void> {
    // What is written while the sync is under way is not promised.
    return this.#sync(this.#file.unsynced());
  }

  #sync(changes: ReadonlySet<FileChange>): Promise<void> {
    return this.#run(
      this.#call('fdatasync'),
      () => this.#file.settle(changes, 'synced'),
      ({ pages = 'clean' }) => {
        if (pages === 'clean') this.#file.settle(changes, 'abandoned');
      },
    );
  }

  size(): Promise<number> {
    return this.#run(this.#call('fstat'), () => this.#file.bytes);
  }

  truncate(bytes: number): Promise<void> {
    const call = this.#call('ftruncate', { bytes });
    return this.#run(call, () => {
      if (!this.#writable) throw systemError('EINVAL', 'ftruncate', call.path);
      checkOffset(bytes, 'ftruncate', call.path);
      this.#gate.space.resize(this.#file, bytes, call.path);
      this.#file.resize(bytes);
      this.#file.noteResize(bytes);
    });
  }

  async close(): Promise<void> {
    const { path } = this.#file;
    if (this.#closed) throw systemError('EBADF', 'close', path);
    this.#closed = true;
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    const call: FileCall = { call: 'close', path };
    try {
      throwFirst(await this.#gate.enter(call), call);
    } finally {
      // The descriptor is gone whatever `close` says.
      this.#file.handles--;
      this.#gate.handles.delete(this);
      this.#gate.space.drop(this.#file);
    }
  }

  #read(target: Uint8Array, position: number, faults: readonly Fault[]): number {
    checkOffset(position, 'read', this.#file.path);
    const bytes = Math.min(target.byteLength, ...faults.map((one) => one.bytes ?? Infinity));
    return this.#file.read(target.subarray(0, bytes), position);
  }

  #write(bytes: Uint8Array, position: number): void {
    const { path } = this.#file;
    if (!this.#writable) throw systemError('EBADF', 'write', path);
    checkOffset(position, 'write', path);
    if (bytes.byteLength === 0) return;
    const end = position + bytes.byteLength;
    this.#gate.space.resize(this.#file, Math.max(this.#file.bytes, end), path);
    this.#file.write(bytes, position);
    this.#file.noteWrite(position, bytes);
  }

  #call(
    syscall: keyof typeof callNames,
    more: { readonly position?: number; readonly bytes?: number } = {},
  ): FileCall {
    return { call: callNames[syscall], path: this.#file.path, ...more };
  }

  /** Does a call, or what is left of it when a fault strikes. */
  async #run<T>(
    call: FileCall,
    act: (faults: readonly Fault[]) => T,
    failing: (fault: Fault) => void = () => {},
  ): Promise<T> {
    if (this.#closed) throw systemError('EBADF', call.call, call.path);
    this.#underWay++;
    try {
      const faults = await this.#gate.enter(call);
      const failed = faults.find(({ error }) => error !== undefined);
      if (failed && failed.afterwards !== true) failing(failed);
      if (failed && failed.afterwards !== true) throwFirst(faults, call);
      const result = act(faults);
      throwFirst(faults, call);
      return result;
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) this.#whenIdle?.();
    }
  }
}

const callNames = {
  read: 'read',
  readNow: 'readNow',
  write: 'write',
  fdatasync: 'sync',
  fstat: 'size',
  ftruncate: 'truncate',
} as const;

/** Throws the error of the first fault that has one. */
export function throwFirst(faults: readonly Fault[], call: FileCall): void {
  for (const fault of faults) {
    const error = faultError(fault, call);
    if (error) throw error;
  }
}

/** One copy of everything that is to be written. */
function joined(source: Uint8Array | readonly Uint8Array[]): Uint8Array {
  if (ArrayBuffer.isView(source)) return source.slice();
  const bytes = new Uint8Array(source.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const one of source) {
    bytes.set(one, at);
    at += one.byteLength;
  }
  return bytes;
}
