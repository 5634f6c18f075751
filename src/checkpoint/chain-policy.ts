/*
 * When the chain is merged, and which part of it. Pure: the engine, the command line and the paper
 * replay of `tune` all ask this module.
 *
 * A run of adjacent snapshots becomes one: a base when it starts with the base, else a delta. The
 * cost of a plan is what it writes; what it gives is links and bytes that a restore no longer reads.
 * Rules:
 *   P1 the length has to come down when it reaches its maximum, and the budget has to be kept with a
 *      margin; otherwise nothing is merged unless somebody asks;
 *   P2 what merges wrote in all stays within `mergeBytesPerLogByteMax` of the log, whatever else asks;
 *   P3 'sequential' and 'parallel' merge the whole chain into a base, 'optimal' chooses the run that
 *      costs least for what it gives;
 *   P4 a new base is made when the log behind the old one is much larger than a base, since two bases
 *      and the log from the older one are kept: so the disk that retention needs is bounded by state;
 *   P5 a budget below the cost of one base cannot be reached, and merging is not tried for it.
 */
import type {
  ChainLink,
  ChainPolicy,
  MergeStrategy,
  RestoreRates,
  WrittenTotals,
} from './checkpoint-record.ts';
import { estimateRestore, type RestoreEstimate } from './restore-estimate.ts';

/** Share of the distinct keys among the entries of a run: 1 when nothing overlaps. */
export type DistinctShare = (start: number, count: number) => number;

/** A chain and what surrounds it. */
export interface ChainState {
  readonly links: readonly Pick<ChainLink, 'kind' | 'bytes' | 'entryCount'>[];
  /** Bytes of log behind the chain that a restore is to be ready for. */
  readonly logBytes: number;
  readonly rates: RestoreRates;
  readonly totals: WrittenTotals;
  readonly distinctShare: DistinctShare;
}

/** A run of the chain to merge. */
export interface MergePlan {
  readonly start: number;
  readonly count: number;
  readonly inputBytes: number;
  /** Estimated. */
  readonly outputBytes: number;
  readonly cause: 'length' | 'budget' | 'log' | 'call';
  /** For people. */
  readonly why: string;
}

/** Nothing is merged. */
export interface NoMerge {
  readonly why: string;
  /** Something asks for a merge, and the bound on rewriting forbids it (P2). */
  readonly held: boolean;
}

/** The budget is kept with this share of it in hand, since the next delta and the log still grow. */
export const budgetMargin = 0.9;
/** A restore that a merge makes cheaper by less is not worth it. */
const WORTH_SHARE = 0.02;

/** Where the cost of a restore stands against its budget. */
export interface BudgetState {
  readonly estimate: RestoreEstimate;
  /** The cost of one base and nothing else: below it no budget can be kept. */
  readonly floor: RestoreEstimate;
  readonly state: 'none' | 'within' | 'near' | 'over' | 'unreachable';
}

/** Judges the budget. */
export function judgeBudget(chain: ChainState, policy: ChainPolicy): BudgetState {
  const { links, logBytes, rates } = chain;
  const estimate = estimateRestore(sumBytes(links), logBytes, rates);
  const floor = estimateRestore(baseBytes(chain), 0, rates);
  if (policy.restoreSecondsMax === undefined && policy.restoreBytesMax === undefined) {
    return { estimate, floor, state: 'none' };
  }
  const judge = (): BudgetState['state'] => {
    if (shareOfBudget(floor, policy) > 1) return 'unreachable';
    const share = shareOfBudget(estimate, policy);
    if (share > 1) return 'over';
    return share > budgetMargin ? 'near' : 'within';
  };
  return { estimate, floor, state: judge() };
}

/** The greater part of its two budgets that a restore takes. */
function shareOfBudget(estimate: RestoreEstimate, policy: ChainPolicy): number {
  const { restoreSecondsMax, restoreBytesMax } = policy;
  return Math.max(
    restoreSecondsMax === undefined ? 0 : estimate.seconds / restoreSecondsMax,
    restoreBytesMax === undefined ? 0 : estimate.bytes / restoreBytesMax,
  );
}

/** Share of the budget that the log may always take, however near the chain is to it. */
const LOG_SHARE = 0.1;

/** Bytes of log behind the chain at which a checkpoint has to be taken for the budget's sake. */
export function budgetLogBytes(
  chainBytes: number,
  rates: RestoreRates,
  policy: ChainPolicy,
): number {
  const { restoreSecondsMax, restoreBytesMax } = policy;
  let bytes = Number.POSITIVE_INFINITY;
  if (restoreSecondsMax !== undefined) {
    const chain = estimateRestore(chainBytes, 0, rates);
    const seconds = budgetMargin * restoreSecondsMax - chain.seconds;
    bytes = Math.max(seconds, LOG_SHARE * restoreSecondsMax) * rates.replayBytesPerSecond;
  }
  if (restoreBytesMax !== undefined) {
    const left = budgetMargin * restoreBytesMax - chainBytes;
    bytes = Math.min(bytes, Math.max(left, LOG_SHARE * restoreBytesMax));
  }
  return bytes;
}

/** What is due, or what somebody asked for with `asked`. */
export function planMerge(
  chain: ChainState,
  policy: ChainPolicy,
  asked = false,
): MergePlan | NoMerge {
  const { links } = chain;
  if (links.length < 2) return { why: 'the chain is one snapshot', held: false };
  const budget = judgeBudget(chain, policy);
  const overBudget = budget.state === 'near' || budget.state === 'over';
  const tooLong = links.length >= policy.maxChainLength;
  const tooMuchLog = logIsLong(chain, policy);
  if (!asked && !tooLong && !overBudget && !tooMuchLog)
    return { why: 'nothing asks for a merge', held: false };
  const runs = runsOf(chain, policy.strategy);
  const allowed = runs.filter((run) => run.outputBytes <= credit(chain, policy));
  const pick = (from: readonly Run[]): MergePlan | undefined => {
    if (overBudget) {
      const run = cheapestWithin(chain, policy, from);
      if (run) return explain(run, 'budget', budget);
    }
    if (tooMuchLog) {
      const whole = from.find((run) => run.count === links.length);
      if (whole) return explain(whole, 'log', budget);
    }
    if (tooLong) return explain(cheapestPerLink(from), 'length', budget);
    return asked ? explain(cheapestPerLink(from), 'call', budget) : undefined;
  };
  // Somebody who asks for it by name has decided about the writing.
  const plan = pick(asked ? runs : allowed);
  if (plan) return plan;
  if (pick(runs)) return { why: 'held by mergeBytesPerLogByteMax', held: true };
  return { why: 'no merge would make a restore cheaper', held: false };
}

/** Less log than that is not worth a base. */
export const logBytesLeast: number = 64 * 1024 * 1024;

/** Whether the log behind the base asks for a new one (P4). */
function logIsLong(chain: ChainState, policy: ChainPolicy): boolean {
  const { totals } = chain;
  const behind = totals.logBytes - totals.baseLogBytes;
  const base = baseBytes(chain);
  return behind >= Math.max(logBytesLeast, policy.logBytesPerBaseByteMax * base);
}

interface Run {
  readonly start: number;
  readonly count: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

function runsOf(chain: ChainState, strategy: MergeStrategy): Run[] {
  const { length } = chain.links;
  const before = [0];
  chain.links.forEach(({ bytes }, i) => before.push(before[i]! + bytes));
  const run = (start: number, count: number): Run => {
    const inputBytes = before[start + count]! - before[start]!;
    const outputBytes = Math.ceil(inputBytes * chain.distinctShare(start, count));
    return { start, count, inputBytes, outputBytes };
  };
  if (strategy !== 'optimal') return [run(0, length)];
  const runs: Run[] = [];
  for (let start = 0; start + 1 < length; start++) {
    for (let count = 2; start + count <= length; count++) runs.push(run(start, count));
  }
  return runs;
}

/** Bytes that merges may still write (P2). */
function credit({ totals }: ChainState, policy: ChainPolicy): number {
  return policy.mergeBytesPerLogByteMax * totals.logBytes - totals.mergeBytes;
}

/**
 * The run that writes least of those that bring the restore within the budget; when none does, the
 * one that saves most, if that is worth anything.
 */
function cheapestWithin(
  chain: ChainState,
  policy: ChainPolicy,
  runs: readonly Run[],
): Run | undefined {
  const { links, logBytes, rates } = chain;
  const total = sumBytes(links);
  const after = (run: Run): number =>
    shareOfBudget(
      estimateRestore(total - run.inputBytes + run.outputBytes, logBytes, rates),
      policy,
    );
  const within = runs.filter((run) => after(run) <= budgetMargin);
  if (within.length > 0) return least(within, (run) => run.outputBytes);
  const best = least(runs, after);
  if (!best || best.inputBytes - best.outputBytes < total * WORTH_SHARE) return undefined;
  return best;
}

/**
 * The run with the least net writing for each link that it removes: what it writes, less what it
 * gives back. So deltas of about one size are merged with each other, overlapping ones first, and
 * the base when its deltas together are about as large as it is.
 */
function cheapestPerLink(runs: readonly Run[]): Run | undefined {
  return least(runs, (run) => (2 * run.outputBytes - run.inputBytes) / (run.count - 1));
}

/** The first of the least; of equal ones the longer run comes first. */
function least(runs: readonly Run[], cost: (run: Run) => number): Run | undefined {
  let best: Run | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const run of runs) {
    const at = cost(run);
    if (at < bestCost || (at === bestCost && best && run.count > best.count)) {
      best = run;
      bestCost = at;
    }
  }
  return best;
}

function explain(
  run: Run | undefined,
  cause: MergePlan['cause'],
  budget: BudgetState,
): MergePlan | undefined {
  if (!run) return undefined;
  const { start, count } = run;
  const what = start === 0 ? `a base of ${count} snapshots` : `one delta of ${count}`;
  const reasons = {
    length: 'the chain has its greatest length',
    budget: `a restore is estimated at ${budget.estimate.seconds.toFixed(3)} s`,
    log: 'the log behind the base is much larger than a base',
    call: 'it was asked for',
  };
  const written = `writes about ${run.outputBytes} of ${run.inputBytes} bytes`;
  return { ...run, cause, why: `${what}, ${written}: ${reasons[cause]}` };
}

/** Of a base of the whole chain. */
function baseBytes({ links, distinctShare }: ChainState): number {
  return links.length === 0 ? 0 : Math.ceil(sumBytes(links) * distinctShare(0, links.length));
}

function sumBytes(links: readonly { readonly bytes: number }[]): number {
  return links.reduce((sum, link) => sum + link.bytes, 0);
}
