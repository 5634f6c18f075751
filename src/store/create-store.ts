/*
 * Stores of the core by their settings. A misspelt setting is refused, never ignored.
 */
import { resolve } from 'node:path';

import { InvalidArgumentError } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
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

/**
 * Makes a store, which is not open yet.
 *
 * @throws InvalidArgumentError INVALID_OPTION for an unknown kind, an unknown key or a bad path.
 */
export function createStore(options: StoreOptions): ObjectStore {
  checkKeys(options);
  if (options.kind === 'memory') return new MemoryObjectStore();
  return new FileObjectStore(nodeFileSystem, checkPath(options.path));
}

function checkKeys(options: StoreOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw invalidOption('store options must be an object', 'store', options);
  }
  const { kind } = options;
  const kinds = Object.keys(keysOfKind);
  if (!kinds.includes(kind)) {
    throw invalidOption(`store kind must be one of ${kinds.join(', ')}`, 'kind', kind);
  }
  const unknown = Object.keys(options).filter((key) => !keysOfKind[kind].includes(key));
  if (unknown.length > 0) {
    throw invalidOption(`a ${kind} store has no such option`, unknown.join(', '), unknown);
  }
}

function checkPath(path: string): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw invalidOption('path of a file store must be a path', 'path', path);
  }
  return resolve(path);
}

function invalidOption(message: string, option: string, actual: unknown): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_OPTION', `${message}: ${option}: ${String(actual)}`, {
    option,
    actual,
  });
}
