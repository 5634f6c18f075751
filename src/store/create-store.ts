/*
 * Stores of the core by their settings. A misspelt setting is refused, never ignored.
 */
import { resolve } from 'node:path';

import { nodeFileSystem } from '../fs/node-file-system.ts';
import { directoryPath, knownOnly, objectOnly, oneOf } from '../std/option-checks.ts';
import { FileObjectStore } from './file-store.ts';
import { MemoryObjectStore } from './memory-store.ts';
import type { ObjectStore } from './object-store.ts';

/** Settings of a store of objects as files. */
export interface FileStoreOptions {
  readonly kind: 'file';
  /** Directory of the objects; made if absent. Relative paths are resolved at once. */
  readonly path: string;
}

/** Settings of a store of objects in memory; it survives nothing. */
export interface MemoryStoreOptions {
  readonly kind: 'memory';
}

/** Settings of a store of the core. */
export type StoreOptions = FileStoreOptions | MemoryStoreOptions;

const keysOfKind: Readonly<Record<StoreOptions['kind'], readonly string[]>> = {
  file: ['kind', 'path'],
  memory: ['kind'],
};

const kinds = Object.keys(keysOfKind) as StoreOptions['kind'][];

/**
 * Makes a store, which is not open yet.
 *
 * @throws InvalidArgumentError INVALID_OPTION for an unknown kind, an unknown key or a bad path.
 */
export function createStore(options: StoreOptions): ObjectStore {
  objectOnly(options);
  knownOnly(options, keysOfKind[oneOf('kind', options.kind, kinds)]);
  if (options.kind === 'memory') return new MemoryObjectStore();
  return new FileObjectStore(nodeFileSystem, checkPath(options.path));
}

function checkPath(path: string): string {
  return resolve(directoryPath('path', path));
}
