/*
 * The policy on paper: a workload is walked commit by commit, and the very functions of the engine
 * say when a checkpoint is due (checkpoint-triggers.ts), what is merged (chain-policy.ts), what a
 * restore costs (restore-estimate.ts) and what is kept (retention-plan.ts). Pure; no clock.
 *
 * On paper checkpoints and merges take no time. Where commits come faster than they end, the engine
 * takes fewer and larger ones.
 */
import { budgetLogBytes, logBytesLeast, planMerge, type DistinctShare } from '../chain-policy.ts';
import type { ChainPolicy, RestoreRates, WrittenTotals } from '../record-notes.ts';
import { dueTrigger, type CheckpointTriggers } from '../checkpoint-triggers.ts';
import { estimateRestore } from '../restore-estimate.ts';
import type { RetentionSettings } from '../retention/retention-settings.ts';
import { PaperFold, type PaperSnapshot } from './tuning-fold.ts';
import { PaperStore } from './tuning-store.ts';
import { fileOf, type CodecModel, type PaperFile } from './tuning-size.ts';
import type { PaperWorkload } from './tuning-workload.ts';

/** Settings that a replay follows. */
export interface PaperSettings {
  readonly triggers: CheckpointTriggers;
  readonly policy: ChainPolicy;
  readonly codec: CodecModel;
  readonly retention: RetentionSettings | undefined;
  readonly segmentBytesMax: number;
}

/** Rates of a restore beside the codec's. */
export type PaperRates = Pick<RestoreRates, 'replayBytesPerSecond' | 'overheadSeconds'>;

/** What settings come to. */
export interface PaperOutcome {
  /** Of a restore after each commit. */
  readonly restoreSeconds: { readonly worst: number; readonly median: number };
  readonly restoreBytesWorst: number;
  /** Snapshots and log that is kept. */
  readonly storedBytes: { readonly worst: number; readonly end: number };
  readonly totals: WrittenTotals;
  /** Bytes of checkpoints and merges for each byte of the log. */
  readonly writeAmplification: number;
  readonly checkpoints: number;
  readonly merges: number;
  readonly chainLengthWorst: number;
}

interface PaperLink extends PaperFile {
  readonly snapshot: PaperSnapshot;
  readonly name: string;
  readonly lastLsn: number;
}

export class PaperReplay {
  readonly #workload: PaperWorkload;
  readonly #settings: PaperSettings;
  readonly #rates: PaperRates;
  readonly #fold: PaperFold;
  readonly #store: PaperStore;
  #chain: PaperLink[] = [];
  #chainBytes = 0;
  #names = 0;
  #logBytes = 0;
  #checkpointBytes = 0;
  #mergeBytes = 0;
  #baseLogBytes = 0;
  #checkpoints = 0;
  #merges = 0;
  #chainLengthWorst = 0;
  #endSeconds = 0;

  constructor(
    workload: PaperWorkload,
    settings: PaperSettings,
    rates: PaperRates,
    fold: PaperFold = new PaperFold(workload),
  ) {
    this.#workload = workload;
    this.#settings = settings;
    this.#rates = rates;
    this.#fold = fold;
    this.#store = new PaperStore(settings.retention, settings.segmentBytesMax);
  }

  /** What a restore behind the last commit takes. */
  get endSeconds(): number {
    return this.#endSeconds;
  }

  run(): PaperOutcome {
    const { commits, logBytesPerRecordByte } = this.#workload;
    const { triggers, policy } = this.#settings;
    const before = this.#fold.before();
    if (before) this.#push(before, this.#workload.fromLsn);
    const count = commits.timestamps.length;
    const seconds = new Float64Array(count);
    let bytesWorst = 0;
    let from = 0;
    let since = { entries: 0, commits: 0, logBytes: 0, milliseconds: 0 };
    for (let i = 0; i < count; i++) {
      const timestamp = commits.timestamps[i]!;
      const recordBytes = commits.recordBytes[i]!;
      this.#store.append(recordBytes * logBytesPerRecordByte, this.#workload.fromLsn + i + 1);
      since = {
        entries: since.entries + commits.entryCounts[i]!,
        commits: since.commits + 1,
        logBytes: since.logBytes + recordBytes,
        milliseconds: (timestamp - commits.timestamps[from]!) / 1000,
      };
      const behind = since.logBytes * logBytesPerRecordByte;
      const restore = estimateRestore(this.#chainBytes, behind, this.#ratesNow());
      seconds[i] = restore.seconds;
      bytesWorst = Math.max(bytesWorst, restore.bytes);
      const budget = budgetLogBytes(this.#chainBytes, this.#ratesNow(), policy);
      if (dueTrigger(since, triggers, budget) === undefined) continue;
      this.#checkpoint(from, i + 1, behind);
      from = i + 1;
      since = { entries: 0, commits: 0, logBytes: 0, milliseconds: 0 };
    }
    const behind = since.logBytes * logBytesPerRecordByte;
    this.#endSeconds = estimateRestore(this.#chainBytes, behind, this.#ratesNow()).seconds;
    return this.#outcome(seconds, bytesWorst);
  }

  #outcome(seconds: Float64Array, restoreBytesWorst: number): PaperOutcome {
    const sorted = seconds.toSorted();
    const totals = this.#totals();
    const { logBytes, checkpointBytes, mergeBytes } = totals;
    return {
      restoreSeconds: {
        worst: sorted.at(-1) ?? 0,
        median: sorted[Math.floor(sorted.length / 2)] ?? 0,
      },
      restoreBytesWorst,
      storedBytes: { worst: this.#store.bytesWorst, end: this.#store.bytes },
      totals,
      writeAmplification: logBytes === 0 ? 0 : (checkpointBytes + mergeBytes) / logBytes,
      checkpoints: this.#checkpoints,
      merges: this.#merges,
      chainLengthWorst: this.#chainLengthWorst,
    };
  }

  #totals(): WrittenTotals {
    return {
      logBytes: this.#logBytes,
      checkpointBytes: this.#checkpointBytes,
      mergeBytes: this.#mergeBytes,
      baseLogBytes: this.#baseLogBytes,
    };
  }

  /** The chain's own rate: its bytes before compression at the codec's speed. */
  #ratesNow(): RestoreRates {
    const { loadSecondsPerByte } = this.#settings.codec;
    const rawBytes = this.#chain.reduce((sum, link) => sum + link.rawBytes, 0);
    const loadSeconds = rawBytes * loadSecondsPerByte;
    const loadBytesPerSecond = loadSeconds === 0 ? 1e9 : this.#chainBytes / loadSeconds;
    return { ...this.#rates, loadBytesPerSecond };
  }

  #checkpoint(from: number, to: number, logBytes: number): void {
    const kind = this.#chain.length === 0 ? 'base' : 'delta';
    const { fileBytes } = this.#push(this.#fold.delta(from, to, kind), this.#workload.fromLsn + to);
    this.#logBytes += logBytes;
    if (kind === 'base') this.#baseLogBytes = this.#logBytes;
    this.#checkpointBytes += fileBytes;
    this.#checkpoints++;
    this.#record(to);
    this.#mergeWhileDue(to, logBytes);
  }

  #mergeWhileDue(to: number, logBytes: number): void {
    const { policy } = this.#settings;
    const hasBudget =
      policy.restoreSecondsMax !== undefined || policy.restoreBytesMax !== undefined;
    // As the newest record says: one that a merge made took no log in.
    for (let behind = logBytes; ; behind = 0) {
      // What `planMerge` would look at first, before the overlap is worked out.
      const behindBase = this.#logBytes - this.#baseLogBytes;
      const isLong = this.#chain.length >= policy.maxChainLength || behindBase >= logBytesLeast;
      if (!hasBudget && !isLong) return;
      const links = this.#chain.map(({ snapshot, fileBytes, entryCount }) => ({
        kind: snapshot.kind,
        bytes: fileBytes,
        entryCount,
      }));
      const distinctShare = distinctShareOf(this.#chain, this.#workload);
      const rates = this.#ratesNow();
      const chain = { links, logBytes: behind, rates, totals: this.#totals(), distinctShare };
      const plan = planMerge(chain, policy);
      if (!('start' in plan)) return;
      const run = this.#chain.slice(plan.start, plan.start + plan.count);
      const { lastLsn } = run.at(-1)!;
      const merged = this.#link(this.#fold.merge(run.map(({ snapshot }) => snapshot)), lastLsn);
      this.#chain.splice(plan.start, plan.count, merged);
      this.#chainBytes = sumOf(this.#chain);
      this.#mergeBytes += merged.fileBytes;
      if (plan.start === 0) this.#baseLogBytes = this.#logBytes;
      this.#merges++;
      this.#record(to);
    }
  }

  #push(snapshot: PaperSnapshot, lastLsn: number): PaperLink {
    const link = this.#link(snapshot, lastLsn);
    this.#chain.push(link);
    this.#chainBytes = sumOf(this.#chain);
    this.#chainLengthWorst = Math.max(this.#chainLengthWorst, this.#chain.length);
    return link;
  }

  #link(snapshot: PaperSnapshot, lastLsn: number): PaperLink {
    const { tables } = this.#workload;
    const name = `snapshots/${++this.#names}`;
    return { ...fileOf(snapshot, tables, this.#settings.codec), snapshot, name, lastLsn };
  }

  #record(to: number): void {
    const { commits, fromLsn } = this.#workload;
    const timestamp = commits.timestamps[to - 1]!;
    const chain = this.#chain.map(({ name, fileBytes, snapshot, lastLsn }) => ({
      name,
      bytes: fileBytes,
      kind: snapshot.kind,
      lastLsn,
    }));
    this.#store.put({ lsn: fromLsn + to, timestamp, chain });
  }
}

function sumOf(chain: readonly PaperLink[]): number {
  return chain.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
}

/** As chain-overlap.ts does it on images: for each entry, in which later snapshot its key is next. */
function distinctShareOf(chain: readonly PaperLink[], workload: PaperWorkload): DistinctShare {
  const { length } = chain;
  const last = new Int32Array(workload.keys.tables.length).fill(-1);
  const lastBytes = new Float64Array(last.length);
  const total = new Float64Array(length);
  const tombstones = new Float64Array(length);
  const replaced = Array.from({ length }, () => new Float64Array(length));
  const lastDead = new Uint8Array(last.length);
  const replacedDead = Array.from({ length }, () => new Float64Array(length));
  chain.forEach(({ snapshot }, link) => {
    for (const { bytes } of snapshot.rest) total[link]! += bytes;
    for (let at = 0; at < snapshot.ids.length; at++) {
      const id = snapshot.ids[at]!;
      const bytes = snapshot.bytes[at]!;
      const dead = snapshot.ops[at] === 1 || snapshot.ops[at] === 3 ? 0 : 1;
      total[link]! += bytes;
      if (dead) tombstones[link]! += bytes;
      const before = last[id]!;
      if (before >= 0) {
        replaced[before]![link]! += lastBytes[id]!;
        if (lastDead[id]) replacedDead[before]![link]! += lastBytes[id]!;
      }
      last[id] = link;
      lastBytes[id] = bytes;
      lastDead[id] = dead;
    }
  });
  return (start, count) => {
    let all = 0;
    let kept = 0;
    for (let link = start; link < start + count; link++) {
      all += total[link]!;
      kept += total[link]! - (start === 0 ? tombstones[link]! : 0);
      for (let next = link + 1; next < start + count; next++) {
        kept -= replaced[link]![next]!;
        if (start === 0) kept += replacedDead[link]![next]!;
      }
    }
    return all === 0 ? 1 : kept / all;
  };
}
