/*
 * What `tidemark/testing` exports: the suite for those who write a store of their own, and a file
 * system that loses power and fails as it is told, to try an engine on.
 */
export {
  objectStoreConformance,
  type ConformanceCase,
  type ObjectStoreConformanceOptions,
} from './object-store-conformance.ts';
export type { ReopenStore } from './reopen-cases.ts';
export type { ByteRange, LocalObjects, ObjectInfo, ObjectStore } from '../store/object-store.ts';
export {
  SimulatedFileSystem,
  type CrashKind,
  type SimulatedFileSystemOptions,
} from './simulated-file-system.ts';
export { SimulatedClock } from './simulated-clock.ts';
export { SeededRandom } from './seeded-random.ts';
export {
  fileCalls,
  type Fault,
  type FileCall,
  type FileCallName,
  type Injected,
} from './faults.ts';
export {
  allDropped,
  allKept,
  randomChoice,
  type CrashChoice,
  type PageFate,
  type Unsynced,
  type UnsyncedNames,
  type UnsyncedPage,
  type UnsyncedSize,
} from './crash-fate.ts';
export type { CrashPoint, DiskImage } from './crash-point.ts';
export { crashStates, type CrashState, type CrashStatesOptions } from './crash-states.ts';
export type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from '../fs/file-system.ts';
export type { SystemErrorCode } from '../fs/system-error.ts';
export type { Clock, Timer } from '../std/clock.ts';
export type { Random } from '../std/random.ts';
export { openEngineWith, type EngineComponents } from '../engine/open-engine.ts';
