/*
 * How an engine uses residency: which snapshots an opening leaves in their files, and in which order
 * their slices are loaded behind it.
 */
import { rankOperators } from '../checkpoint/residency/load-order.ts';
import type { Residency, ResidencyEvents } from '../checkpoint/residency/residency.ts';
import type { ColdLinks } from '../recovery/chain-loader.ts';
import { firstUserTable } from '../snapshot/entry-format.ts';
import { assert } from '../std/assert.ts';
import type { StateSpace } from '../state/state-space.ts';
import type { Prefetch, ResolvedResidencyOptions } from './residency-options.ts';

/** How an opening, or a view, reads snapshots. */
export function coldLinks(prefetch: Prefetch, residency: Residency): ColdLinks {
  return { residency, whole: true, now: prefetch === 'aggressive' };
}

/** What loading behind an opening stands on. */
export interface LoadingInput {
  readonly residency: Residency;
  readonly options: ResolvedResidencyOptions;
  readonly space: StateSpace;
  /** Parts that are loaded at once. */
  readonly loadsMax: number;
  readonly events: ResidencyEvents;
}

/** Begins to load what the opening has left in files. */
export function startLoading({ residency, options, space, ...on }: LoadingInput): void {
  const { prefetch } = options;
  const ranks = rankOperators(options.operators);
  assert('rankOf' in ranks, 'operators do not stand in a circle');
  const operators = new Map(space.loggedDefinitions().map(({ id, operator }) => [id, operator]));
  const policy = {
    used: prefetch !== 'sequential',
    rest: prefetch !== 'none',
    // Reserved tables before all others; what no operator has any more comes with the others.
    rank: (table: number) => {
      if (!residency.keeps(table)) return undefined;
      return table < firstUserTable ? -1 : ranks.rankOf(operators.get(table) ?? '');
    },
  };
  residency.follow(() => space.loggedDefinitions());
  residency.start(policy, on.loadsMax, on.events);
}
