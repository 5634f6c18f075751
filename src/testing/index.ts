/*
 * What `tidemark/testing` exports: the suite for those who write a store of their own.
 */
export {
  objectStoreConformance,
  type ConformanceCase,
  type ObjectStoreConformanceOptions,
} from './object-store-conformance.ts';
export type { ReopenStore } from './reopen-cases.ts';
export type { ByteRange, LocalObjects, ObjectInfo, ObjectStore } from '../store/object-store.ts';
