/*
 * The ways in which a store is damaged. Each is a disk with one thing changed; which bytes are taken
 * is told by an effort: all of them, or those of headers and a stride of the rest.
 */
import { withFile, type Files } from './disk.ts';
import { kindOf } from './kinds.ts';
import { neededEnd } from './needed.ts';
import type { Sample } from './stores.ts';

/** One damaged disk. */
export interface Damage {
  /** In words. */
  readonly what: string;
  /** The file, or the first of two. */
  readonly path: string;
  /** Of two files, the second. */
  readonly other?: string;
  readonly files: Files;
  /** Somebody has to tell of it, even where the newest state does not need it. */
  readonly isNeeded: boolean;
  /**
   * It can make the log look as if it had ended earlier: a lost sector, or an old copy of a segment.
   * Only what nothing else proves may go that way.
   */
  readonly hidesEnd?: boolean;
}

const sectorBytes = 512;

/** Which bytes of a file are tried. */
export interface Choice {
  /** One byte of so many. */
  readonly stride: number;
  /** All of so many at the beginning: headers. */
  readonly head?: number;
  /** All of so many at the end: footers, checksums. */
  readonly end?: number;
}

/** Offsets of a file that are tried. */
export function offsetsOf(bytes: number, { stride, head = 0, end = 0 }: Choice): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < bytes; at++) {
    if (at < head || at >= bytes - end || at % stride === 0) offsets.push(at);
  }
  return offsets;
}

/** Changes one byte; which bits follows from its offset. */
export function* flips({ files }: Sample, path: string, offsets: readonly number[]): Damages {
  const whole = files.get(path)!;
  const end = neededEnd(files, path);
  for (const at of offsets) {
    const bytes = whole.slice();
    const bits = ((at * 37) % 255) + 1;
    bytes[at]! ^= bits;
    const what = `byte ${at} ^ ${bits} of ${path}`;
    yield { what, path, files: withFile(files, path, bytes), isNeeded: at < end };
  }
}

/** Zeros a sector, where that changes anything. */
export function* zeroedSectors({ files }: Sample, path: string): Damages {
  const whole = files.get(path)!;
  const end = neededEnd(files, path);
  for (let at = 0; at < whole.length; at += sectorBytes) {
    const bytes = whole.slice();
    bytes.fill(0, at, at + sectorBytes);
    if (Buffer.compare(bytes, whole) === 0) continue;
    const what = `sector at ${at} of ${path}`;
    const made = withFile(files, path, bytes);
    yield { what, path, files: made, isNeeded: at < end, hidesEnd: true };
  }
}

/** Cuts a file. */
export function* cuts({ files }: Sample, path: string, lengths: readonly number[]): Damages {
  const whole = files.get(path)!;
  const end = neededEnd(files, path);
  for (const length of lengths) {
    const what = `${path} cut to ${length}`;
    const cut = withFile(files, path, whole.slice(0, length));
    yield { what, path, files: cut, isNeeded: length < end };
  }
}

/** Two files of a kind change names. */
export function* swaps({ files }: Sample): Damages {
  const paths = [...files.keys()];
  for (const [i, path] of paths.entries()) {
    for (const other of paths.slice(i + 1)) {
      if (kindOf(path) !== kindOf(other)) continue;
      const swapped = withFile(withFile(files, path, files.get(other)), other, files.get(path));
      const isNeeded = neededEnd(files, path) > 0;
      yield { what: `${path} and ${other} swapped`, path, other, files: swapped, isNeeded };
    }
  }
}

/** A file has the content of another of its kind too. */
export function* overwritten({ files }: Sample): Damages {
  for (const path of files.keys()) {
    for (const other of files.keys()) {
      if (path === other || kindOf(path) !== kindOf(other)) continue;
      const made = withFile(files, path, files.get(other));
      const isNeeded = neededEnd(files, path) > 0;
      yield { what: `${path} has the content of ${other}`, path, files: made, isNeeded };
    }
  }
}

/** A file is there once more, under another name of its kind. */
export function* duplicates({ files }: Sample): Damages {
  for (const [path, bytes] of files) {
    for (const name of freeNames(path)) {
      if (files.has(name)) continue;
      const made = withFile(files, name, bytes);
      yield { what: `${path} also as ${name}`, path, other: name, files: made, isNeeded: false };
    }
  }
}

/** Kinds of which one that is gone leaves no trace. */
const optional: ReadonlySet<string> = new Set([
  'record',
  'drop mark',
  'low-water',
  'mark of the log',
]);

/** A file is gone. */
export function* removals({ files }: Sample): Damages {
  for (const path of files.keys()) {
    const isNeeded = neededEnd(files, path) > 0 && !optional.has(kindOf(path));
    yield { what: `${path} removed`, path, files: withFile(files, path, undefined), isNeeded };
  }
}

/** A file holds what it held before, or is back. */
export function* oldCopies({ files, older }: Sample): Damages {
  for (const [path, contents] of older) {
    for (const [i, bytes] of contents.entries()) {
      const what = `${path} as it was, copy ${i}${files.has(path) ? '' : ', though it was gone'}`;
      const made = withFile(files, path, bytes);
      yield { what, path, files: made, isNeeded: false, hidesEnd: true };
    }
  }
}

/** A sequence of damaged disks. */
export type Damages = Generator<Damage, void, undefined>;

/** Names of a file's kind that follow from its own: above it, far above, of another timeline. */
function freeNames(path: string): string[] {
  const numbered = /^(.*\/)(\d{10})(-\d{8})?(\.\w+)$/.exec(path);
  if (numbered) {
    const [, directory, number, timeline = '', end] = numbered;
    const named = (by: number, of: string = timeline): string =>
      `${directory}${String(Number(number) + by).padStart(10, '0')}${of}${end}`;
    const names = [named(1), named(-1), named(90)];
    return timeline ? [...names, named(0, '-00000009')] : names;
  }
  const snapshot = /^(.*-)(\d{10})$/.exec(path);
  if (snapshot) return [`${snapshot[1]}0000000099`];
  return [`${path}.copy`];
}
