/*
 * Options of what is in memory, and when it gets there.
 */
import type { Verification } from '../snapshot/tasks.ts';
import { badOption, knownOnly, oneOf, wholeNumber } from '../std/option-checks.ts';
import { rankOperators, type OperatorOrder } from '../checkpoint/residency/load-order.ts';

/**
 * When the slices of snapshots are brought into memory. `none`: a slice is loaded when something of
 * it is first read; `sequential`: also all others, behind the opening, in the order of their files;
 * `adaptive`: what is read first, then all others; `aggressive`: all before the opening ends. Until a
 * slice is in memory, reads of it read blocks of the file.
 */
export type Prefetch = 'none' | 'sequential' | 'adaptive' | 'aggressive';

/** How an operator comes up among the others. */
export interface OperatorLoading {
  /** The greater, the sooner. @defaultValue 0 */
  readonly priority?: number;
  /** Operators whose state is loaded before. @defaultValue none */
  readonly after?: readonly string[];
}

/** Options of `openEngine` on what is in memory. */
export interface ResidencyOptions {
  /**
   * When snapshots are brought into memory. With `verification: 'full'` everything is read before
   * the opening ends, and only 'aggressive' is possible.
   * @defaultValue 'adaptive', with `verification: 'full'` 'aggressive'
   */
  readonly prefetch?: Prefetch;
  /**
   * Bytes that are kept of slices that are not in memory, at least 1 MiB: blocks, and where blocks stand.
   * @defaultValue 67108864 (64 MiB)
   */
  readonly cacheBytesMax?: number;
  /**
   * In which order the states of operators are loaded: reserved tables first, then by these, then in
   * the order of the files. Names that the store does not have are no error. @defaultValue none
   */
  readonly operators?: Readonly<Record<string, OperatorLoading>>;
}

/** Options in force. */
export interface ResolvedResidencyOptions {
  readonly prefetch: Prefetch;
  readonly cacheBytesMax: number;
  readonly operators: ReadonlyMap<string, OperatorOrder>;
}

export const residencyOptionNames: readonly (keyof ResidencyOptions)[] = [
  'prefetch',
  'cacheBytesMax',
  'operators',
];

const modes = ['none', 'sequential', 'adaptive', 'aggressive'] as const;
const cacheBytesLeast = 1024 * 1024;
const cacheBytesDefault = 64 * 1024 * 1024;
const priorityMost = 1_000_000;

export function resolveResidencyOptions(
  options: ResidencyOptions,
  verification: Verification,
): ResolvedResidencyOptions {
  return {
    prefetch: resolvePrefetch(options.prefetch, verification),
    cacheBytesMax: wholeNumber(
      'cacheBytesMax',
      options.cacheBytesMax ?? cacheBytesDefault,
      cacheBytesLeast,
    ),
    operators: resolveOperators(options.operators),
  };
}

function resolvePrefetch(value: unknown, verification: Verification): Prefetch {
  const isFull = verification === 'full';
  const mode = oneOf('prefetch', value ?? (isFull ? 'aggressive' : 'adaptive'), modes);
  if (isFull && mode !== 'aggressive') {
    throw badOption('prefetch', "must be 'aggressive' with verification 'full'", value);
  }
  return mode;
}

function resolveOperators(
  value: ResidencyOptions['operators'] = {},
): ReadonlyMap<string, OperatorOrder> {
  if (typeof value !== 'object' || value === null) {
    throw badOption('operators', 'must be an object of operators by name', value);
  }
  const declared = new Map<string, OperatorOrder>();
  for (const [name, loading] of Object.entries(value)) {
    declared.set(name, checkLoading(name, loading));
  }
  const ranks = rankOperators(declared);
  if ('rankOf' in ranks) return declared;
  throw badOption('operators', `go in a circle: ${ranks.cycle.join(' after ')}`, value);
}

function checkLoading(name: string, loading: OperatorLoading): OperatorOrder {
  const option = `operators.${name}`;
  if (name === '' || typeof loading !== 'object' || loading === null) {
    throw badOption(
      'operators',
      `must have an object under each name, as under '${name}'`,
      loading,
    );
  }
  knownOnly(loading, ['priority', 'after'], option);
  const { priority = 0, after = [] } = loading;
  wholeNumber(`${option}.priority`, priority, -priorityMost, priorityMost);
  const isNames = Array.isArray(after) && after.every((one) => typeof one === 'string' && one);
  if (!isNames) throw badOption(`${option}.after`, 'must be a list of names of operators', after);
  return { priority, after };
}
