/*
 * What the crash tests try: something that works on a simulated file system, notes the moments at
 * which the power may go, and knows what has to be there behind each LSN.
 */
import type {
  CrashPoint,
  DiskImage,
  FileCall,
  SimulatedFileSystem,
} from '../../src/testing/index.ts';
import { digestOf } from '../../src/testing/crash-point.ts';

/** Behind every LSN, from 0 on: what has to be shown. */
export type Expected = string[];

/** Looks at what else a script has made, on a disk that a crash has left. */
export interface Inspect {
  /** Nothing outside of it has a bearing on what is found. */
  readonly directory: string;
  readonly look: (fs: SimulatedFileSystem) => Promise<void>;
}

/** A moment at which the power may go. */
export interface Moment {
  readonly point: CrashPoint;
  readonly call: FileCall | undefined;
  readonly inspect: Inspect | undefined;
  /** Greatest LSN that was acknowledged at level `disk`. */
  readonly acknowledged: number;
  readonly sealed: number;
  /** An LSN that is as good: that of a moment which is being gone back to. */
  readonly backTo: number | undefined;
  readonly expected: Expected;
}

/** How one goes on behind a crash. */
export interface Afterwards {
  /** Openings that were before; what is written says which opening wrote it. */
  readonly openings: number;
  /** Nothing is tried behind it, so it need not know what it has to show. */
  readonly isLast: boolean;
}

/** What is tried. */
export interface Subject {
  readonly fs: SimulatedFileSystem;
  readonly moments: readonly Moment[];
  /** Nothing outside of it has a bearing on an opening. */
  readonly directory: string;
  /** Another of its kind, on a disk that a crash has left at a moment. */
  after(moment: Moment, fs: SimulatedFileSystem, how: Afterwards): Subject;
  /** Notes every moment from now on at which the disk can be another. */
  record(): void;
  /** Notes this moment. */
  note(): void;
  /** Opens; tells the LSN that it stands at, and throws unless what is there is the state of that. */
  recover(): Promise<number>;
  commits(count: number): Promise<void>;
  /** Everything that is done behind a recovery, and an opening that has to find it. */
  goOn(): Promise<void>;
  close(): Promise<void>;
  /** No call comes back any more: what still goes on in the background ends here. */
  cutPower(): void;
  /** Looks at every byte. */
  verify(): Promise<void>;
}

/** Calls before which the disk may be another than before the last one. */
export const changing: ReadonlySet<string> = new Set([
  'open',
  'write',
  'truncate',
  'sync',
  'rename',
  'link',
  'unlink',
  'syncDirectory',
  'makeDirectory',
  'lock',
]);

/** Equal for disks with the same below a directory. */
export function digestBelow({ root, digest }: DiskImage, directory: string): string {
  if (directory === '/') return digest;
  const below = root.entries.get(directory.slice(1));
  return below === undefined ? 'nothing' : digestOf(below);
}
