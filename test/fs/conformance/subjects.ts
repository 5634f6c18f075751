/*
 * The file systems that one suite holds to the same behaviour, and what its cases share.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect } from 'vitest';

import { errnoOf } from '../../../src/errors.ts';
import { blockingFileSystem } from '../../../src/fs/blocking-file-system.ts';
import type { FileSystem } from '../../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../../src/fs/memory-file-system.ts';
import { nodeFileSystem } from '../../../src/fs/node-file-system.ts';
import { SimulatedFileSystem } from '../../../src/testing/simulated-file-system.ts';

interface Place {
  readonly fs: FileSystem;
  readonly directory: string;
  cleanUp(): void;
}

async function onDisk(fs: FileSystem): Promise<Place> {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-fs-'));
  return { fs, directory, cleanUp: () => rmSync(directory, { recursive: true }) };
}

async function inMemory(fs: FileSystem): Promise<Place> {
  await fs.makeDirectory('/tmp/tidemark');
  return { fs, directory: '/tmp/tidemark', cleanUp: () => {} };
}

const subjects: { name: string; prepare: () => Promise<Place> }[] = [
  { name: 'nodeFileSystem', prepare: () => onDisk(nodeFileSystem) },
  { name: 'blockingFileSystem', prepare: () => onDisk(blockingFileSystem) },
  { name: 'MemoryFileSystem', prepare: () => inMemory(new MemoryFileSystem()) },
  { name: 'SimulatedFileSystem', prepare: () => inMemory(new SimulatedFileSystem()) },
  {
    name: 'SimulatedFileSystem in random order',
    prepare: () => inMemory(new SimulatedFileSystem({ order: 'random' })),
  },
];

/** A file system with an empty directory, fresh for each case. */
export class Subject {
  fs!: FileSystem;
  directory!: string;

  /** The path of a name in the directory. */
  at(name: string): string {
    return `${this.directory}/${name}`;
  }

  async store(name: string, bytes: Uint8Array): Promise<void> {
    const handle = await this.fs.open(this.at(name), 'create');
    await handle.write(bytes, 0);
    await handle.close();
  }

  async load(name: string): Promise<Uint8Array> {
    const handle = await this.fs.open(this.at(name), 'read');
    const bytes = new Uint8Array(await handle.size());
    expect(await handle.read(bytes, 0)).toBe(bytes.length);
    await handle.close();
    return bytes;
  }
}

/** Declares the cases once for each file system. */
export function describeFileSystems(declare: (subject: Subject) => void): void {
  describe.each(subjects)('$name', ({ prepare }) => {
    const subject = new Subject();
    let place: Place;

    beforeEach(async () => {
      place = await prepare();
      subject.fs = place.fs;
      subject.directory = place.directory;
    });
    afterEach(() => place.cleanUp());

    declare(subject);
  });
}

/** The code that a call fails with, or `no error`. */
export function codeOf(action: Promise<unknown>): Promise<string | undefined> {
  return action.then(() => 'no error', errnoOf);
}

export const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** Bytes that differ from place to place and from seed to seed. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + seed) & 0xff;
  return bytes;
}
