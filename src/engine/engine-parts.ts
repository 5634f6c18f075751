/*
 * What an engine is made of. Put together by assemble-engine.ts, the engine works with it.
 */
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Checkpointer } from '../checkpoint/checkpointer.ts';
import type { ChainImages } from '../checkpoint/chain-images.ts';
import type { Residency } from '../checkpoint/residency/residency.ts';
import type { RestoreMeter } from '../checkpoint/restore-estimate.ts';
import type { RecoveryReport } from '../recovery/recover.ts';
import type { ForkReport } from '../recovery/fork-run.ts';
import type { Clock } from '../std/clock.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import type { BackgroundFailures } from './background-failures.ts';
import type { EventHub } from './events.ts';
import type { Ancestry } from '../wal/ancestry.ts';
import type { ResolvedEngineOptions } from './options.ts';
import type { MissingOperators } from './missing-operators.ts';
import type { PositionTable } from './positions.ts';
import type { Recording } from './recording.ts';
import type { CopyOptions } from './restore-store.ts';
import type { Retention } from './retention.ts';
import type { TimeTravel } from './time-travel.ts';
import type { Verifier } from './verifier.ts';
import type { Views } from './views.ts';
import type { Watch } from './watch.ts';

/** What an engine is made of. */
export interface EngineParts {
  readonly options: ResolvedEngineOptions;
  readonly space: StateSpace;
  readonly writer: LogWriter;
  readonly positions: PositionTable;
  readonly checkpointer: Checkpointer;
  readonly checkpoints: CheckpointStore;
  /** Of the timeline that is written on. */
  readonly ancestry: Ancestry;
  readonly retention: Retention;
  readonly views: Views;
  readonly verifier: Verifier;
  readonly missing: MissingOperators;
  readonly images: ChainImages;
  readonly residency: Residency;
  readonly hub: EventHub;
  readonly failures: BackgroundFailures;
  readonly watch: Watch;
  readonly meter: RestoreMeter;
  readonly clock: Clock;
  readonly recovery: RecoveryReport;
  readonly recording: Recording | undefined;
  readonly travel: TimeTravel;
  readonly fork: (to: string, options: CopyOptions) => Promise<ForkReport>;
  /** Ends threads, store and lock, in this order. */
  readonly release: () => Promise<void>;
}
