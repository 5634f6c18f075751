/*
 * A simulated file system at the moment when the power goes: what is on the disk for sure, what may
 * be, and the disks that can come of it. A point is taken without copying what does not change.
 */
import { createHash } from 'node:crypto';
import { must } from '../std/assert.ts';
import { MemoryDirectory, type MemoryNode } from '../fs/memory-tree.ts';
import { pagesOf, piecesOf } from './crash-content.ts';
import type { CrashChoice, Unsynced, UnsyncedNames } from './crash-fate.ts';
import {
  applyNames,
  SimulatedDirectory,
  type CapturedDirectory,
  type NameChange,
} from './simulated-directory.ts';
import { contentAfter, SimulatedFile, type CapturedFile } from './simulated-file.ts';
import type { SeededRandom } from './seeded-random.ts';

/** The content of a disk: paths of directories, and of files with what they hold. */
export interface DiskImage {
  readonly root: SimulatedDirectory;
  /** Equal for disks with equal names and contents. */
  readonly digest: string;
}

/** A file of a point; the number tells it from others of the same name. */
interface NumberedFile extends CapturedFile {
  readonly number: number;
}

/** What there is of the file system when the power goes. */
export class CrashPoint {
  readonly #root: SimulatedDirectory;
  readonly #directories = new Map<SimulatedDirectory, CapturedDirectory>();
  readonly #files = new Map<SimulatedFile, NumberedFile>();

  /** @internal */
  constructor(root: SimulatedDirectory) {
    this.#root = root;
    this.#visit(root);
  }

  /** Everything that need not be on the disk. */
  unsynced(): Unsynced[] {
    const found: Unsynced[] = [];
    for (const directory of this.#directories.values()) {
      for (const [index, change] of directory.changes.entries()) {
        if (!change.synced) found.push(namesOf(directory, change, index));
      }
    }
    for (const file of this.#files.values()) {
      const size = sizeOf(file);
      if (size.sizes.length > 1) found.push(size);
      for (const [write, { bytes, position, state }] of file.changes.entries()) {
        if (!bytes || state === 'synced') continue;
        for (const { start, end } of pagesOf(position, bytes.length)) {
          found.push({
            kind: 'page',
            file: file.number,
            path: file.path,
            write,
            position: start,
            bytes: end - start,
          });
        }
      }
    }
    return found;
  }

  /** What is on the disk when the power is back. */
  image(choice: CrashChoice, random: SeededRandom): DiskImage {
    const contents = new Map<SimulatedFile, Uint8Array>();
    for (const [file, captured] of this.#files) {
      contents.set(file, contentOf(captured, choice, random));
    }
    const kept = new Map<NameChange, boolean>();
    for (const directory of this.#directories.values()) {
      for (const [index, change] of directory.changes.entries()) {
        const isKept = change.synced || choice.names(namesOf(directory, change, index));
        kept.set(change.origin, isKept);
      }
    }
    const root = this.#build(this.#root, '', contents, kept);
    return { root, digest: digestOf(root) };
  }

  #visit(directory: SimulatedDirectory): void {
    if (this.#directories.has(directory)) return;
    const captured = directory.capture();
    this.#directories.set(directory, captured);
    const nodes = [...captured.disk.values()];
    for (const { names } of captured.changes)
      for (const [, node] of names) if (node) nodes.push(node);
    for (const node of nodes) {
      if (node instanceof SimulatedFile) {
        if (this.#files.has(node)) continue;
        this.#files.set(node, { ...node.capture(), number: this.#files.size });
      } else {
        this.#visit(node as SimulatedDirectory);
      }
    }
  }

  #build(
    directory: SimulatedDirectory,
    path: string,
    contents: ReadonlyMap<SimulatedFile, Uint8Array>,
    kept: ReadonlyMap<NameChange, boolean>,
    made: Map<SimulatedFile, SimulatedFile> = new Map(),
  ): SimulatedDirectory {
    const captured = must(this.#directories.get(directory), 'a directory is captured');
    const names = new Map(captured.disk);
    for (const { origin } of captured.changes) {
      if (reaches(origin, kept)) applyNames(names, origin.names);
    }
    const built = new SimulatedDirectory(path === '' ? '/' : path);
    for (const [name, node] of names) {
      const at = `${path}/${name}`;
      built.entries.set(
        name,
        node instanceof SimulatedFile
          ? fileAt(node, at, contents, made)
          : this.#build(node as SimulatedDirectory, at, contents, kept, made),
      );
    }
    built.settle();
    return built;
  }
}

/** Whether a change of names is on the disk: a removal never comes before what it waits for. */
function reaches(change: NameChange, kept: ReadonlyMap<NameChange, boolean>): boolean {
  if (kept.get(change) !== true) return false;
  const { after } = change;
  // What is not among the captured changes has been on the disk for long.
  return after === undefined || kept.get(after.change) !== false;
}

function fileAt(
  node: SimulatedFile,
  path: string,
  contents: ReadonlyMap<SimulatedFile, Uint8Array>,
  made: Map<SimulatedFile, SimulatedFile>,
): SimulatedFile {
  const known = made.get(node);
  const file = known ?? new SimulatedFile(path, contents.get(node));
  file.names++;
  made.set(node, file);
  return file;
}

function contentOf(file: NumberedFile, choice: CrashChoice, random: SeededRandom): Uint8Array {
  const { changes, disk, path, number } = file;
  if (changes.length === 0) return disk;
  const size = sizeOf(file);
  const chosen = size.sizes.length > 1 ? choice.size(size) : 0;
  return contentAfter(disk, changes, {
    sizedChanges: changes.length - size.sizes.length + 1 + chosen,
    pieces: ({ bytes: written, position, state }, write) => {
      const bytes = written!;
      if (state === 'synced') return [{ position, bytes }];
      return pagesOf(position, bytes.length).flatMap((page) => {
        const { start, end } = page;
        const unsynced = { kind: 'page', file: number, path, write, position: start } as const;
        const fate = choice.page({ ...unsynced, bytes: end - start });
        return piecesOf({ position, bytes }, page, fate, random);
      });
    },
  });
}

/** Sizes behind the last change that is synced, whose size is on the disk. */
function sizeOf({
  number,
  path,
  disk,
  changes,
}: NumberedFile): Extract<Unsynced, { kind: 'size' }> {
  const last = changes.findLastIndex(({ state }) => state === 'synced');
  const sizes = [disk.byteLength, ...changes.map(({ sizeAfter }) => sizeAfter)].slice(last + 1);
  return { kind: 'size', file: number, path, sizes };
}

function namesOf(
  { path }: CapturedDirectory,
  { names }: NameChange,
  change: number,
): UnsyncedNames {
  return {
    kind: 'names',
    directory: path,
    change,
    made: names.filter(([, node]) => node).map(([name]) => name),
    removed: names.filter(([, node]) => !node).map(([name]) => name),
  };
}

const digests = new WeakMap<Uint8Array, string>();

/** Equal for the same names and contents, whatever the name of the top itself. */
export function digestOf(root: MemoryNode): string {
  const hash = createHash('sha1');
  const visit = (node: MemoryNode, path: string): void => {
    if (!(node instanceof MemoryDirectory)) {
      hash.update(`${path}\0${contentDigest((node as SimulatedFile).capture().disk)}\n`);
      return;
    }
    hash.update(`${path}/\n`);
    for (const name of [...node.entries.keys()].sort()) {
      visit(node.entries.get(name)!, `${path}/${name}`);
    }
  };
  visit(root, '');
  return hash.digest('hex');
}

function contentDigest(content: Uint8Array): string {
  let digest = digests.get(content);
  if (digest === undefined) {
    digest = createHash('sha1').update(content).digest('hex');
    digests.set(content, digest);
  }
  return digest;
}
