/*
 * Options of an engine: all defaults, all checks, in one place. Unknown options are refused, so that
 * a misspelt one is never ignored.
 */
import { isAbsolute, resolve } from 'node:path';
import type { CheckpointTriggers } from '../checkpoint/checkpoint-triggers.ts';
import {
  checkCompression,
  compressionDefault,
  type CompressionOption,
  type CompressionSetting,
} from '../codec/compression-setting.ts';
import {
  checkCodecs,
  type CodecModule,
  type RegisteredCodec,
} from '../codec/compression-modules.ts';
import type { TypeDefinition } from '../codec/value.ts';
import { checkTarget, type CheckedTarget, type Target } from '../recovery/target.ts';
import { checkLevel } from '../recovery/verify-tools.ts';
import type { Verification } from '../snapshot/tasks.ts';
import { directoryPath, filePath, knownOnly, wholeNumber } from '../std/option-checks.ts';
import type { ObjectStore } from '../store/object-store.ts';
import {
  logOptionNames,
  resolveDurability,
  resolveLogOptions,
  type Durability,
  type LogOptions,
  type ResolvedLogOptions,
} from '../wal/log-options.ts';
import {
  chainOptionNames,
  resolveChainOptions,
  type ChainOptions,
  type ResolvedChainOptions,
} from './chain-options.ts';
import {
  resolveCheckpointing,
  type CheckpointingOptions,
  type CheckpointingPreset,
} from './checkpointing-options.ts';
import { badOption } from '../std/option-checks.ts';
import {
  residencyOptionNames,
  resolveResidencyOptions,
  type ResidencyOptions,
  type ResolvedResidencyOptions,
} from './residency-options.ts';
import {
  resolveScrubOptions,
  scrubOptionNames,
  type EngineScrubOptions,
  type ResolvedScrubOptions,
} from './scrub-options.ts';
import {
  engineRetentionNames,
  resolveRetentionOptions,
  type EngineRetentionOptions,
  type ResolvedRetentionOptions,
} from './retention-options.ts';

import {
  openingOptionNames,
  resolveOpening,
  type OpeningLimits,
  type OpeningOptions,
} from './opening-options.ts';

export { badOption } from '../std/option-checks.ts';

/** Options of `openEngine`. */
export interface EngineOptions
  extends
    LogOptions,
    ChainOptions,
    EngineRetentionOptions,
    OpeningOptions,
    ResidencyOptions,
    EngineScrubOptions {
  /** Directory of the store, made if it is not there; `':memory:'` keeps everything in memory. */
  readonly dir: string;
  /**
   * Where snapshots and checkpoint records go; the engine opens it, and closes it with itself.
   * @defaultValue files in `dir`
   */
  readonly store?: ObjectStore;
  /** When `commit` resolves, unless the commit says otherwise. @defaultValue 'disk' */
  readonly durability?: Durability;
  /** Whether a directory that holds state is taken; false refuses it. @defaultValue true */
  readonly recover?: boolean;
  /**
   * Goes back to a moment, in place: the engine opens as it was then, on a new timeline. What came
   * behind is not deleted; it can be read as the future of the timeline that was left while retention
   * keeps it, and gone back to in turn. An act, not a setting: each opening with it goes back again,
   * and leaves what was committed since. A target that is the last commit changes nothing.
   * @defaultValue none
   */
  readonly recoverTo?: Target;
  /**
   * Where damage leaves no way to the state that loses no commit, takes the one that loses least: a
   * copy of everything is kept first, and the LSNs that are lost are never given again.
   * `engine.recovery.loss` says what was lost. False refuses the opening and lists the ways. An act
   * of a person who has seen that list, not a setting. @defaultValue false
   */
  readonly acceptLoss?: boolean;
  /**
   * Where damage is in the states of some operators only, goes on without these operators, rather than
   * not at all: they are missing, whole, until `engine.startAnew`, and every use of them is
   * OPERATOR_MISSING. A copy of everything is kept first. With `acceptLoss` too, operators are lost
   * before commits are. @defaultValue false
   */
  readonly optimistic?: boolean;
  /**
   * How much of each snapshot the opening checks; what fails is passed over as damaged. `none`: what
   * is needed to read it, footers and tables of blocks; `basic`: also its header; `standard`: also the
   * checksum of every block; `full`: also its digest, the order of entries, and the index against
   * them. Below `standard` a damaged block may be served as data. @defaultValue 'standard'
   */
  readonly verification?: Verification;
  /**
   * Freezes values that are handed out and finds values that were changed behind the engine's back.
   * @defaultValue true when NODE_ENV is 'test' or 'development', else false
   */
  readonly checks?: boolean;
  /** Classes whose instances can be values. @defaultValue none */
  readonly types?: readonly TypeDefinition[];
  /**
   * Bytes of changes that only memtables hold: at half of it a checkpoint starts by itself, past it
   * commits wait, past twice it they are refused with OVERLOADED. @defaultValue 268435456 (256 MiB)
   */
  readonly memtableBytesMax?: number;
  /**
   * Compression of new snapshots: a codec, or one with its level and the least block that it is
   * worth. States can have their own. @defaultValue 'lz4'
   */
  readonly compression?: CompressionOption;
  /** Codecs of your own, for `compression` and for reading what was written with them. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
  /**
   * When checkpoints are taken by themselves: bounds, or a named setting; false turns all of them
   * off, also those that memtables would ask for: then only `checkpoint` makes room.
   * @defaultValue 64 MiB of log or 60 s since the first commit behind the last checkpoint
   */
  readonly checkpointing?: false | CheckpointingPreset | CheckpointingOptions;
  /**
   * File to which the workload is recorded for `tidemark tune`: sizes and hashes of a sample of the
   * keys, no values. A recording that is there is continued. What goes wrong with it ends it, with
   * the warning RECORDING_ENDED, and touches nothing else. @defaultValue none
   */
  readonly record?: string;
  /** Key groups, a power of two up to 65536; fixed when the store is made. @defaultValue 128 */
  readonly keyGroups?: number;
}

/** Options in force. */
export interface ResolvedEngineOptions {
  readonly dir: string;
  readonly inMemory: boolean;
  readonly store: ObjectStore | undefined;
  readonly durability: Durability;
  readonly recover: boolean;
  readonly recoverTo: CheckedTarget | undefined;
  readonly acceptLoss: boolean;
  readonly optimistic: boolean;
  readonly verification: Verification;
  readonly checks: boolean;
  readonly types: readonly TypeDefinition[];
  readonly memtableBytesMax: number;
  readonly compression: CompressionSetting;
  readonly codecs: readonly RegisteredCodec[];
  /** As asked for; undefined: what the store has, or the default for a new one. */
  readonly keyGroups: number | undefined;
  readonly log: ResolvedLogOptions;
  readonly chain: ResolvedChainOptions;
  /** Undefined: none. */
  readonly checkpointing: CheckpointTriggers | undefined;
  /** Absolute path of the recording of the workload. */
  readonly record: string | undefined;
  readonly retention: ResolvedRetentionOptions;
  readonly opening: OpeningLimits;
  readonly residency: ResolvedResidencyOptions;
  readonly scrub: ResolvedScrubOptions;
}

export const keyGroupsDefault = 128;
const keyGroupsMost = 65_536;
const memtableBytesDefault = 256 * 1024 * 1024;
const memtableBytesLeast = 64 * 1024;

/** Names of the options of `openEngine`. */
export const engineOptionNames: readonly string[] = [
  'dir',
  'store',
  'durability',
  'recover',
  'recoverTo',
  'acceptLoss',
  'optimistic',
  'verification',
  'checks',
  'types',
  'memtableBytesMax',
  'compression',
  'codecs',
  'keyGroups',
  'checkpointing',
  'record',
  ...logOptionNames,
  ...chainOptionNames,
  ...engineRetentionNames,
  ...openingOptionNames,
  ...residencyOptionNames,
  ...scrubOptionNames,
] satisfies readonly (keyof EngineOptions)[];

/** Fills in the defaults; an unknown option, or a bad value, is INVALID_OPTION with its name. */
export function resolveOptions(options: EngineOptions): ResolvedEngineOptions {
  knownOnly(options, engineOptionNames);
  const { store, compression, types, keyGroups } = options;
  const dir = directoryPath('dir', options.dir);
  if (store !== undefined && typeof store?.putIfAbsent !== 'function') {
    throw badOption('store', 'must be an object store', store);
  }
  if (types !== undefined && !Array.isArray(types)) {
    throw badOption('types', 'must be a list of types', types);
  }
  const codecs = options.codecs === undefined ? [] : checkCodecs(options.codecs);
  for (const name of ['acceptLoss', 'optimistic'] as const) {
    if (options[name] !== true || options.recover !== false) continue;
    throw badOption(name, 'cannot be true with recover: false', true);
  }
  const own = codecs.map(({ name }) => name);
  const record = options.record === undefined ? undefined : filePath('record', options.record);
  const inMemory = dir === ':memory:';
  const verification = checkLevel('verification', options.verification, 'standard');
  const environment = process.env['NODE_ENV'];
  return Object.freeze({
    dir: inMemory ? '/memory' : absolute(dir),
    inMemory,
    store,
    durability: resolveDurability(options.durability, 'disk'),
    recover: flag('recover', options.recover, true),
    recoverTo: checkRecoverTo(options),
    acceptLoss: flag('acceptLoss', options.acceptLoss, false),
    optimistic: flag('optimistic', options.optimistic, false),
    verification,
    checks: flag('checks', options.checks, environment === 'test' || environment === 'development'),
    types: types ?? [],
    memtableBytesMax: memtableBound(options.memtableBytesMax),
    compression:
      compression === undefined
        ? compressionDefault
        : checkCompression(compression, 'compression', own),
    codecs,
    keyGroups: keyGroups === undefined ? undefined : checkKeyGroups(keyGroups),
    log: resolveLogOptions(options),
    chain: resolveChainOptions(options),
    checkpointing: resolveCheckpointing(options.checkpointing),
    retention: resolveRetentionOptions(options),
    residency: resolveResidencyOptions(options, verification),
    scrub: resolveScrubOptions(options),
    record: record === undefined ? undefined : absolute(record),
    opening: resolveOpening(options),
  });
}

function checkRecoverTo({ recover, recoverTo }: EngineOptions): CheckedTarget | undefined {
  if (recoverTo === undefined) return undefined;
  if (recover === false) throw badOption('recoverTo', 'cannot be with recover: false', undefined);
  return checkTarget(recoverTo, 'recoverTo');
}

function absolute(dir: string): string {
  return isAbsolute(dir) ? dir : resolve(dir);
}

function flag(name: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value === 'boolean') return value;
  throw badOption(name, 'must be true or false', value);
}

function memtableBound(value: unknown): number {
  return wholeNumber('memtableBytesMax', value ?? memtableBytesDefault, memtableBytesLeast);
}

function checkKeyGroups(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(Math.log2(value))) {
    if (value >= 1 && value <= keyGroupsMost) return value;
  }
  throw badOption('keyGroups', `must be a power of two from 1 to ${keyGroupsMost}`, value);
}
