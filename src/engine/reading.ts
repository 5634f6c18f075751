/*
 * Reading a store without opening it for writing: the part of the public face that the command line
 * stands on. index.ts exports the same names.
 */
export {
  UnknownTypeValue,
  openReader,
  type CommitRange,
  type FoundEntry,
  type LoggedChange,
  type LoggedCommit,
  type LoggedOp,
  type Measure,
  type Reader,
  type ReaderEntry,
  type ReaderOptions,
} from '../recovery/reader.ts';
export {
  inspectStore,
  type InspectOptions,
  type InspectedCheckpoint,
  type InspectedLog,
  type InspectedSegment,
  type InspectedState,
  type InspectedTable,
  type InspectionFault,
  type StoreInspection,
} from '../recovery/inspect.ts';
export {
  verifyStore,
  type StoreFault,
  type StoreVerification,
  type VerifyOptions,
} from '../recovery/verify.ts';
