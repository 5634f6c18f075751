/*
 * A file system in memory that keeps beside what programs see what is on the disk for sure, so that
 * the power can go at any call; that fails calls as it is told; and that does the calls under way
 * in an order drawn from a seed. Error codes and space are those of the file system in memory.
 *
 * What a crash may leave is in crash-fate.ts; what survives it for certain is what the seam promises:
 * contents by `sync` of a handle, names by `syncDirectory`, directories by `makeDirectory`.
 */
import { errnoOf } from '../errors.ts';
import type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from '../fs/file-system.ts';
import { MemoryFile } from '../fs/memory-file.ts';
import { MemorySpace } from '../fs/memory-space.ts';
import {
  checkReplacement,
  findNode,
  findPlace,
  MemoryDirectory,
  mustFindDirectory,
  mustFindNode,
  type MemoryNode,
} from '../fs/memory-tree.ts';
import { systemError } from '../fs/system-error.ts';
import { systemClock, type Clock } from '../std/clock.ts';
import { badOption, knownOnly, oneOf, wholeNumber } from '../std/option-checks.ts';
import { yieldNow } from '../std/turns.ts';
import { CallScheduler } from './call-scheduler.ts';
import { allDropped, allKept, randomChoice, type CrashChoice } from './crash-fate.ts';
import { CrashPoint, type DiskImage } from './crash-point.ts';
import { Faults, type Fault, type FileCall, type Injected } from './faults.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedDirectory } from './simulated-directory.ts';
import { SimulatedFile } from './simulated-file.ts';
import { SimulatedHandle, throwFirst, type CallGate } from './simulated-handle.ts';

/** Settings of a simulated file system. */
export interface SimulatedFileSystemOptions {
  /** Everything that is random is drawn from it. @defaultValue 1 */
  readonly seed?: number;
  /** Bytes that all files together may have. @defaultValue no bound but that of the process */
  readonly capacityBytes?: number;
  /** What strikes from the beginning. @defaultValue none */
  readonly faults?: readonly Fault[];
  /** Waits for the delays of faults. @defaultValue the clock of the machine */
  readonly clock?: Clock;
  /**
   * The order of calls that are under way together: `given`: each is done at once; `random`: one by
   * one, in an order drawn from the seed. @defaultValue 'given'
   */
  readonly order?: 'given' | 'random';
}

const optionNames: readonly string[] = ['seed', 'capacityBytes', 'faults', 'clock', 'order'];

/** What a crash leaves of that which was not synced: all, nothing, or as a seed or a choice has it. */
export type CrashKind = 'kept' | 'dropped' | number | CrashChoice;

/** A file system that can lose power, and fail. */
export class SimulatedFileSystem implements FileSystem {
  readonly #options: SimulatedFileSystemOptions;
  readonly #root: SimulatedDirectory;
  readonly #gate: CallGate;
  readonly #random: SeededRandom;
  readonly #faults: Faults;
  readonly #scheduler: CallScheduler | undefined;
  readonly #clock: Clock;
  #callCount = 0;
  /**
   * Is told each call before it is done, and waited for; what it throws, the call fails with. The
   * power can be cut in it: the call has changed nothing yet. `freeBytes` and `readNow`, which change
   * nothing and cannot wait, are not told.
   */
  beforeCall: (call: FileCall) => unknown = () => {};

  constructor(options: SimulatedFileSystemOptions = {}, disk?: DiskImage) {
    const { seed, capacityBytes, faults, order } = checkOptions(options);
    this.#options = options;
    this.#root = disk?.root ?? new SimulatedDirectory('/');
    this.#random = new SeededRandom(seed);
    this.#faults = new Faults(this.#random);
    this.#clock = options.clock ?? systemClock;
    this.#scheduler = order === 'random' ? new CallScheduler(this.#random) : undefined;
    const space = new MemorySpace(capacityBytes);
    this.#gate = {
      space,
      handles: new Set(),
      enter: (call) => this.#enter(call),
      enterNow: (call) => this.#enterNow(call),
    };
    for (const file of filesOf(this.#root)) space.count(file.bytes);
    for (const fault of faults) this.inject(fault);
  }

  /** Calls so far, `freeBytes` among them. */
  get callCount(): number {
    return this.#callCount;
  }

  /** Paths of the files that handles are open on, one for each handle. */
  get openPaths(): string[] {
    return [...this.#gate.handles].map(({ path }) => path).sort();
  }

  /** Bytes that all files together may have. */
  get capacityBytes(): number {
    return this.#gate.space.capacityBytes;
  }

  set capacityBytes(bytes: number) {
    wholeNumber('capacityBytes', bytes, 0);
    this.#gate.space.capacityBytes = bytes;
  }

  /** Lets a fault strike from now on. @throws InvalidArgumentError INVALID_OPTION */
  inject(fault: Fault): Injected {
    return this.#faults.inject(fault);
  }

  /**
   * Ends the faults of a name, or all.
   * @throws InvalidArgumentError INVALID_OPTION where no fault ever had the name
   */
  heal(name?: string): void {
    this.#faults.heal(name);
  }

  /**
   * Lets others go on: in the order of the calls under way, `random` or not. For what runs beside them
   * (`yieldNow` of the components of an engine), so that its turns are drawn from the seed as well.
   */
  turn(): Promise<void> {
    return this.#scheduler?.turn() ?? yieldNow();
  }

  /** What there is at this moment, should the power go now. */
  crashPoint(): CrashPoint {
    return new CrashPoint(this.#root);
  }

  /**
   * The file system that comes up after a power loss at this moment, with the same settings but no
   * faults. This one goes on, on a disk that the other does not see.
   * @throws InvalidArgumentError INVALID_OPTION
   */
  crash(kind: CrashKind): SimulatedFileSystem {
    checkKind(kind);
    const seed = typeof kind === 'number' ? kind : this.#random.below(2 ** 32);
    const random = new SeededRandom(seed);
    return this.restart(this.crashPoint().image(choiceOf(kind, random), random));
  }

  /** A file system of the same settings, without faults, on a disk that a crash has left. */
  restart(disk: DiskImage): SimulatedFileSystem {
    const { faults: _, ...options } = this.#options;
    const seed = this.#random.below(2 ** 32);
    const { capacityBytes } = this;
    return new SimulatedFileSystem({ ...options, seed, capacityBytes }, disk);
  }

  /**
   * Forgets what is cached of the disk: what a failed sync has abandoned is not read any more, but
   * what the disk has in its place. Open handles see the same.
   */
  dropCaches(): void {
    for (const file of filesOf(this.#root)) {
      const before = file.bytes;
      file.dropCache();
      this.#gate.space.count(file.bytes - before);
    }
  }

  /** What every file holds, by path. */
  contents(): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    const visit = (directory: MemoryDirectory, path: string): void => {
      for (const name of [...directory.entries.keys()].sort()) {
        const node = directory.entries.get(name)!;
        if (node instanceof SimulatedFile) found.set(`${path}/${name}`, node.content());
        else visit(node as MemoryDirectory, `${path}/${name}`);
      }
    };
    visit(this.#root, '');
    return found;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    return this.#run({ call: 'open', path }, () => {
      const node = findNode(this.#root, path, 'open');
      if (mode === 'create') {
        if (node) throw systemError('EEXIST', 'open', path);
        return new SimulatedHandle(this.#gate, this.#create(path), true);
      }
      if (!node) throw systemError('ENOENT', 'open', path);
      if (node instanceof MemoryDirectory) throw systemError('EISDIR', 'open', path);
      return new SimulatedHandle(this.#gate, node as SimulatedFile, mode === 'write');
    });
  }

  async list(directory: string): Promise<string[]> {
    return this.#run({ call: 'list', path: directory }, () =>
      [...mustFindDirectory(this.#root, directory, 'scandir').entries.keys()].sort(),
    );
  }

  async makeDirectory(path: string): Promise<void> {
    const missing = await this.#run({ call: 'makeDirectory', path }, () =>
      missingParts(this.#root, path),
    );
    for (const { parent, name } of missing) {
      const place = findPlace(this.#root, `${parent}/${name}`, 'mkdir');
      if (!place.node) {
        const made = new SimulatedDirectory(`${parent}/${name}`);
        (place.directory as SimulatedDirectory).change([[name, made]]);
      }
      await this.syncDirectory(parent === '' ? '/' : parent);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#run({ call: 'rename', path: to, from }, () => {
      const source = findPlace(this.#root, from, 'rename');
      const target = findPlace(this.#root, to, 'rename');
      const { node } = source;
      if (!node) throw systemError('ENOENT', 'rename', from);
      if (node === target.node) return;
      checkReplacement(source, target, to);
      if (target.node instanceof MemoryFile) this.#dropName(target.node);
      const into = target.directory as SimulatedDirectory;
      if (source.directory === into) {
        into.change([
          [target.name, node],
          [source.name, undefined],
        ]);
      } else {
        const change = into.change([[target.name, node]]);
        const after = { directory: into, change };
        (source.directory as SimulatedDirectory).change([[source.name, undefined]], after);
      }
      if (node instanceof SimulatedFile) node.path = to;
    });
  }

  async link(existing: string, to: string): Promise<void> {
    await this.#run({ call: 'link', path: to, from: existing }, () => {
      const node = mustFindNode(this.#root, existing, 'link');
      const target = findPlace(this.#root, to, 'link');
      if (target.node) throw systemError('EEXIST', 'link', to);
      if (node instanceof MemoryDirectory) throw systemError('EPERM', 'link', existing);
      (target.directory as SimulatedDirectory).change([[target.name, node]]);
      node.names++;
      (node as SimulatedFile).path = to;
    });
  }

  async unlink(path: string): Promise<void> {
    await this.#run({ call: 'unlink', path }, () => {
      const node = mustFindNode(this.#root, path, 'unlink');
      if (node instanceof MemoryDirectory) throw systemError('EISDIR', 'unlink', path);
      const place = findPlace(this.#root, path, 'unlink');
      (place.directory as SimulatedDirectory).change([[place.name, undefined]]);
      this.#dropName(node);
    });
  }

  async stat(path: string): Promise<FileStat | undefined> {
    return this.#run({ call: 'stat', path }, () => {
      const node = this.#find(path);
      if (!node) return undefined;
      return node instanceof MemoryFile
        ? { kind: 'file', bytes: node.bytes }
        : { kind: 'directory', bytes: 0 };
    });
  }

  async syncDirectory(path: string): Promise<void> {
    const found = this.#find(path);
    const changes = found instanceof SimulatedDirectory ? found.unsynced() : [];
    await this.#run({ call: 'syncDirectory', path }, () => {
      mustFindDirectory(this.#root, path, 'open');
      if (found instanceof SimulatedDirectory) found.synced(changes);
    });
  }

  freeBytes(path: string): number {
    const call: FileCall = { call: 'freeBytes', path };
    throwFirst(this.#enterNow(call), call);
    mustFindNode(this.#root, path, 'statfs');
    return this.#gate.space.freeBytes;
  }

  async lock(path: string): Promise<FileLock | undefined> {
    return this.#run({ call: 'lock', path }, () => {
      const node = findNode(this.#root, path, 'open') ?? this.#create(path);
      if (node instanceof MemoryDirectory) throw systemError('EISDIR', 'open', path);
      return this.#lock(node);
    });
  }

  #lock(node: MemoryFile): FileLock | undefined {
    if (node.locked) return undefined;
    node.locked = true;
    node.handles++;
    let released = false;
    return {
      release: async () => {
        if (released) return;
        released = true;
        node.locked = false;
        node.handles--;
        this.#gate.space.drop(node);
      },
    };
  }

  /** Does a call, or what is left of it when a fault strikes. */
  async #run<T>(call: FileCall, act: () => T): Promise<T> {
    const faults = await this.#enter(call);
    if (!faults.some(({ error, afterwards }) => error && afterwards)) throwFirst(faults, call);
    const result = act();
    throwFirst(faults, call);
    return result;
  }

  async #enter(call: FileCall): Promise<readonly Fault[]> {
    this.#callCount++;
    const faults = this.#faults.striking(call);
    await this.#scheduler?.turn();
    await this.beforeCall(call);
    for (const { delayMs, act } of faults) {
      if (delayMs !== undefined) {
        await new Promise<void>((resolve) => {
          this.#clock.setTimer(delayMs, resolve, true);
        });
      }
      await act?.(call);
    }
    return faults;
  }

  /** For a call that cannot wait: no delay holds it, and what is thrown fails it. */
  #enterNow(call: FileCall): readonly Fault[] {
    this.#callCount++;
    const faults = this.#faults.striking(call);
    for (const { act } of faults) void act?.(call);
    return faults;
  }

  #find(path: string): MemoryNode | undefined {
    try {
      return findNode(this.#root, path, 'stat');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  #create(path: string): SimulatedFile {
    const place = findPlace(this.#root, path, 'open');
    const file = new SimulatedFile(path);
    file.names = 1;
    (place.directory as SimulatedDirectory).change([[place.name, file]]);
    return file;
  }

  #dropName(file: MemoryFile): void {
    file.names--;
    this.#gate.space.drop(file);
  }
}

function checkOptions(
  options: SimulatedFileSystemOptions,
): Required<Omit<SimulatedFileSystemOptions, 'clock'>> {
  knownOnly(options, optionNames);
  const { seed = 1, capacityBytes = Number.MAX_SAFE_INTEGER, faults = [], clock } = options;
  const { order = 'given' } = options;
  wholeNumber('capacityBytes', capacityBytes, 0);
  if (!Array.isArray(faults)) throw badOption('faults', 'must be a list of faults', faults);
  if (clock !== undefined && typeof (clock as Partial<Clock> | null)?.setTimer !== 'function') {
    throw badOption('clock', 'must be a clock', clock);
  }
  return { seed, capacityBytes, faults, order: oneOf('order', order, ['given', 'random']) };
}

function checkKind(kind: CrashKind): void {
  if (kind === 'kept' || kind === 'dropped' || Number.isSafeInteger(kind)) return;
  const choice = (typeof kind === 'object' ? kind : undefined) as Partial<CrashChoice> | null;
  const calls = [choice?.page, choice?.size, choice?.names];
  if (calls.every((call) => typeof call === 'function')) return;
  throw badOption(
    'kind',
    'must be kept, dropped, a seed, or a choice with page, size, names',
    kind,
  );
}

function choiceOf(kind: CrashKind, random: SeededRandom): CrashChoice {
  if (kind === 'kept') return allKept;
  if (kind === 'dropped') return allDropped;
  return typeof kind === 'number' ? randomChoice(random) : kind;
}

/** The directories that have to be made for a path, outermost first. */
function missingParts(
  root: SimulatedDirectory,
  path: string,
): { readonly parent: string; readonly name: string }[] {
  const missing: { parent: string; name: string }[] = [];
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  let at: MemoryNode | undefined = root;
  let parent = '';
  for (const [index, name] of parts.entries()) {
    at = at instanceof MemoryDirectory ? at.entries.get(name) : undefined;
    if (at instanceof MemoryFile) {
      throw systemError(index === parts.length - 1 ? 'EEXIST' : 'ENOTDIR', 'mkdir', path);
    }
    if (!at) missing.push({ parent, name });
    parent += `/${name}`;
  }
  return missing;
}

function filesOf(
  directory: MemoryDirectory,
  found: Set<SimulatedFile> = new Set(),
): Set<SimulatedFile> {
  for (const node of directory.entries.values()) {
    if (node instanceof SimulatedFile) found.add(node);
    else filesOf(node as MemoryDirectory, found);
  }
  return found;
}
