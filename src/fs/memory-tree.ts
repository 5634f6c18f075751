/*
 * Names and directories of a file system in memory: finding what a path means, with the error
 * codes of Linux when it means nothing.
 */
import { MemoryFile } from './memory-file.ts';
import { systemError } from './system-error.ts';

/** A directory: names of files and directories. */
export class MemoryDirectory {
  readonly entries: Map<string, MemoryNode> = new Map();
}

/** What a name stands for. */
export type MemoryNode = MemoryDirectory | MemoryFile;

/** A name in a directory, and what it stands for now, if anything. */
export interface MemoryPlace {
  readonly directory: MemoryDirectory;
  readonly name: string;
  readonly node: MemoryNode | undefined;
}

/** What the path stands for, or undefined; ENOENT and ENOTDIR for what comes before its last part. */
export function findNode(
  root: MemoryDirectory,
  path: string,
  syscall: string,
): MemoryNode | undefined {
  const parts = partsOf(path);
  const name = parts.pop();
  if (name === undefined) return root;
  return walk(root, parts, path, syscall).entries.get(name);
}

/** What the path stands for; ENOENT when it stands for nothing. */
export function mustFindNode(root: MemoryDirectory, path: string, syscall: string): MemoryNode {
  const node = findNode(root, path, syscall);
  if (!node) throw systemError('ENOENT', syscall, path);
  return node;
}

/** The directory at the path. */
export function mustFindDirectory(
  root: MemoryDirectory,
  path: string,
  syscall: string,
): MemoryDirectory {
  const node = mustFindNode(root, path, syscall);
  if (node instanceof MemoryFile) throw systemError('ENOTDIR', syscall, path);
  return node;
}

/** The place that the path names, to be filled or emptied; the root is no such place (EBUSY). */
export function findPlace(root: MemoryDirectory, path: string, syscall: string): MemoryPlace {
  const parts = partsOf(path);
  const name = parts.pop();
  if (name === undefined) throw systemError('EBUSY', syscall, path);
  const directory = walk(root, parts, path, syscall);
  return { directory, name, node: directory.entries.get(name) };
}

/** Makes the directory and the missing ones above it. */
export function makeDirectories(root: MemoryDirectory, path: string): void {
  let directory = root;
  const parts = partsOf(path);
  for (const [at, name] of parts.entries()) {
    let node = directory.entries.get(name);
    if (node instanceof MemoryFile) {
      throw systemError(at === parts.length - 1 ? 'EEXIST' : 'ENOTDIR', 'mkdir', path);
    }
    if (!node) {
      node = new MemoryDirectory();
      directory.entries.set(name, node);
    }
    directory = node;
  }
}

/** True when the directory is, or holds at any depth, the other. */
export function holdsDirectory(outer: MemoryDirectory, inner: MemoryDirectory): boolean {
  if (outer === inner) return true;
  for (const node of outer.entries.values()) {
    if (node instanceof MemoryDirectory && holdsDirectory(node, inner)) return true;
  }
  return false;
}

/** What rename(2) refuses: mixing files and directories, a full target, a directory into itself. */
export function checkReplacement(source: MemoryPlace, target: MemoryPlace, to: string): void {
  if (source.node instanceof MemoryFile) {
    if (target.node instanceof MemoryDirectory) throw systemError('EISDIR', 'rename', to);
    return;
  }
  if (target.node instanceof MemoryFile) throw systemError('ENOTDIR', 'rename', to);
  if (source.node && holdsDirectory(source.node, target.directory)) {
    throw systemError('EINVAL', 'rename', to);
  }
  if (target.node && target.node.entries.size > 0) throw systemError('ENOTEMPTY', 'rename', to);
}

function walk(
  root: MemoryDirectory,
  parts: readonly string[],
  path: string,
  syscall: string,
): MemoryDirectory {
  let directory = root;
  for (const name of parts) {
    const node = directory.entries.get(name);
    if (!node) throw systemError('ENOENT', syscall, path);
    if (node instanceof MemoryFile) throw systemError('ENOTDIR', syscall, path);
    directory = node;
  }
  return directory;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
