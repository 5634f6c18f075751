/*
 * The public face of the package: everything that `import … from 'tidemark'` gives, by hand.
 */
export { openEngine } from './open-engine.ts';
// A type only: `openEngine` alone makes engines.
export type {
  CheckpointOptions,
  Commit,
  CommitOptions,
  Engine,
  EngineStats,
  Synchronous,
} from './engine.ts';
export type { View } from './view.ts';
export type { EngineOptions } from './options.ts';
export type { OpeningOptions, OpeningProgress } from './opening-options.ts';
export type { OpeningPhase } from '../recovery/opening-run.ts';
export type { RunProgress } from '../recovery/limited-run.ts';
export type { ChainOptions, MergeOptions } from './chain-options.ts';
export type { CheckpointingOptions, CheckpointingPreset } from './checkpointing-options.ts';
export type { PrefetchRequest } from './prefetch.ts';
export type { OperatorLoading, Prefetch, ResidencyOptions } from './residency-options.ts';
export type {
  CheckpointingStats,
  ResidencyStats,
  RestoreStats,
  StorageStats,
} from './engine-stats.ts';
export type { MergeCallOptions, MergeOutcome } from './merge-call.ts';
export {
  repairStore,
  salvageStore,
  type RepairOptions,
  type RepairReport,
  type SalvageOptions,
  type SalvageReport,
  type StoreLoss,
} from './repair-store.ts';
export type { LostDetails, LostKey } from '../recovery/lost-commits.ts';
export type { SalvagedState } from '../recovery/salvage-run.ts';
export { mergeStore, type MergeStoreOptions } from './merge-store.ts';
export {
  exportSavepoint,
  restore,
  type CopyOptions,
  type ExportSavepointOptions,
  type RestoreFrom,
  type RestoreOptions,
} from './restore-store.ts';
export { split, type SplitOptions, type SplitPart } from './split-store.ts';
export { fork, type ForkOptions } from './fork-store.ts';
export type { Ownership } from '../recovery/ownership.ts';
export type { ForkReport } from '../recovery/fork-run.ts';
export { backup, type BackupOptions } from './backup-store.ts';
export type { BackupReport } from '../recovery/backup-run.ts';
export { listCheckpoints, type CheckpointList } from '../recovery/list-checkpoints.ts';
export { listTimelines, type TimelineInfo, type TimelineList } from '../recovery/list-timelines.ts';
export type { CopyPhase, CopyProgress } from '../recovery/copy-run.ts';
export type { KeyGroupRange } from '../recovery/restore-parts.ts';
export type { PositionChoice } from '../recovery/restore-join.ts';
export type { RestoredSource, RestoreReport } from '../recovery/restore-run.ts';
export type { BudgetState, MergePlan } from '../checkpoint/chain-policy.ts';
export type { RestoreEstimate } from '../checkpoint/restore-estimate.ts';
export type { EngineScrubOptions, ScrubCallOptions, ScrubOptions } from './scrub-options.ts';
export type { ScrubReport, ScrubStats } from './verifier.ts';
export type { EngineRetentionOptions, RetentionOptions } from './retention-options.ts';
export type { CollectOptions, CollectionReport, RetentionStats } from './retention.ts';
export { collectStore, type CollectStoreOptions } from './retention-store.ts';
export type { RetainedRange } from '../checkpoint/retention/retained-range.ts';
export type {
  RetentionLine,
  RetentionPlan,
  RetentionRule,
} from '../checkpoint/retention/retention-plan.ts';
export type {
  RetentionSchedule,
  RetentionSettings,
} from '../checkpoint/retention/retention-settings.ts';
export type {
  DamageEvent,
  EngineEventName,
  EngineEvents,
  EngineListener,
  EngineWarning,
} from './events.ts';
export type { Positions } from './positions.ts';
export type { StateHolder } from './state-holders.ts';
export type { Operator } from '../state/operator.ts';
export type { ValueEntry, ValueState } from '../state/value-state.ts';
export type { MergePatch } from '../state/value-patch.ts';
export type { MapState } from '../state/map-state.ts';
export type { ListState } from '../state/list-state.ts';
export type { CounterState } from '../state/counter-state.ts';
export type { AggregatingOptions, AggregatingState } from '../state/aggregating-state.ts';
export type { ReducingOptions, ReducingState } from '../state/reducing-state.ts';
export type { ExtremumState } from '../state/extremum-state.ts';
export type { BlobTotals } from '../state/blob-totals.ts';
export type { BlobState } from '../state/blob-state.ts';
export type { EventTime, ListOptions, StateOptions, WriteOptions } from '../state/write-options.ts';
export type { VersionedOptions } from '../state/value-versions.ts';
export type { StateKind, TableDefinition, TtlType } from '../state/table-definition.ts';
export type { Key } from '../codec/key.ts';
export type { TypeDefinition } from '../codec/value.ts';
export type { BuiltInCodecName, CodecName } from '../codec/compression.ts';
export { registerCodecs, type CodecModule } from '../codec/compression-modules.ts';
export type { CompressionOption, CompressionSetting } from '../codec/compression-setting.ts';
export type {
  ChainLink,
  CheckpointKind,
  CheckpointRecord,
  ChainPolicy,
  CheckpointTrigger,
  JoinedOrigin,
  LossNote,
  MergeNote,
  MergeStrategy,
  RestoreOrigin,
  RestoreRates,
  WrittenTotals,
} from '../checkpoint/checkpoint-record.ts';
export type { ListedCheckpoint } from '../checkpoint/checkpoint-store.ts';
export type { Verification } from '../snapshot/tasks.ts';
export type { RecoveryReport } from '../recovery/recover.ts';
export type { RecoveryWork, ThreadWork } from '../recovery/recovery-work.ts';
export type {
  AcceptedLoss,
  LosingPath,
  LostCommits,
  RecoveryPath,
  SkippedCheckpoint,
  SkippedFault,
} from '../recovery/recovery-path.ts';
export type { Durability, LogOptions } from '../wal/log-options.ts';
export type { LogPosition } from '../wal/log-position.ts';
export type { LogWriterStats } from '../wal/log-writer.ts';
export type { TornTail } from '../wal/log-opening.ts';
export {
  PatchReplacement,
  UnknownTypeValue,
  openReader,
  type CommitRange,
  type FoundEntry,
  type HistoryVersion,
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
  type InspectedCheckpoint,
  type InspectedLog,
  type InspectedRestore,
  type InspectedSegment,
  type InspectedState,
  type InspectedTable,
  type InspectOptions,
  type StoreInspection,
} from '../recovery/inspect.ts';
export type { InspectionFault } from '../recovery/inspect-log.ts';
export {
  verifyStore,
  type StoreFault,
  type StoreVerification,
  type VerifyOptions,
} from '../recovery/verify.ts';
export type { CheckOptions } from '../recovery/verify-options.ts';
export type { CallLimits } from '../recovery/limited-call.ts';
export type { StoreLocation } from '../recovery/reader-moment.ts';
export type { Target } from '../recovery/target.ts';
export type { Rewound } from '../recovery/timeline-fork.ts';
export {
  diffStore,
  type DiffStoreOptions,
  type StateChange,
  type StateNames,
} from '../recovery/diff.ts';
export type { ChangedCommit, ChangeOptions } from '../recovery/change-feed.ts';
export { followStore, type FollowStoreOptions } from '../recovery/follow-store.ts';
export { parseTarget } from '../recovery/target.ts';
export {
  planStoreRestore,
  type PlanRestoreOptions,
  type StoreRestorePlan,
} from '../recovery/plan-store.ts';
export {
  planStoreMerge,
  type MergePlanOptions,
  type StoreMergePlan,
} from '../recovery/merge-plan.ts';
export { mergeStrategies } from '../checkpoint/record-notes.ts';
export {
  tuneStore,
  type TuneOptions,
  type TuneReport,
  type TunedCodec,
  type TunedOptions,
} from '../recovery/tune-store.ts';
export type { TriedSettings } from '../checkpoint/tuning/tuning-plan.ts';
export type { PaperOutcome, PaperSettings } from '../checkpoint/tuning/tuning-replay.ts';
export { createStore, type StoreOptions } from '../store/create-store.ts';
export type { ByteRange, LocalObjects, ObjectInfo, ObjectStore } from '../store/object-store.ts';
export { checkObjectName, checkObjectPrefix } from '../store/object-name.ts';
export {
  AbortedError,
  ClosedError,
  ConflictError,
  CorruptionError,
  IncompatibleError,
  InternalError,
  InvalidArgumentError,
  LockedError,
  NotFoundError,
  OutcomeUnknownError,
  StorageError,
  TidemarkError,
  type ErrorCode,
  type ErrorDetails,
  type ErrorKind,
} from '../errors.ts';
