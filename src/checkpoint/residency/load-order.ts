/*
 * The order in which operators come up: those that another one names as before it, then the greater
 * priority, then the name. Operators that nothing is declared of stand together, as if they had
 * priority 0 and no name. Pure.
 */

/** What is declared of an operator. */
export interface OperatorOrder {
  readonly priority: number;
  /** Operators that come up before it. */
  readonly after: readonly string[];
}

/** Operators that nothing is declared of. */
const OTHERS = '';

/** The place of each operator, or the names that stand in a circle. */
export type OperatorRanks =
  | { readonly rankOf: (operator: string) => number }
  | { readonly cycle: readonly string[] };

export function rankOperators(declared: ReadonlyMap<string, OperatorOrder>): OperatorRanks {
  const waiting = new Map<string, OperatorOrder>(declared);
  for (const { after } of declared.values()) {
    for (const name of after) {
      if (!waiting.has(name)) waiting.set(name, { priority: 0, after: [] });
    }
  }
  waiting.set(OTHERS, { priority: 0, after: [] });
  const ranks = new Map<string, number>();
  while (waiting.size > 0) {
    const ready = [...waiting].filter(([, { after }]) => after.every((name) => ranks.has(name)));
    const [next] = ready.sort(([a, x], [b, y]) => y.priority - x.priority || (a < b ? -1 : 1));
    if (!next) return { cycle: findCycle(waiting) };
    ranks.set(next[0], ranks.size);
    waiting.delete(next[0]);
  }
  return { rankOf: (operator) => ranks.get(operator) ?? ranks.get(OTHERS)! };
}

/** Each of them waits for another one of them. */
function findCycle(waiting: ReadonlyMap<string, OperatorOrder>): string[] {
  const path: string[] = [];
  let [at] = [...waiting].find(([name]) => name !== OTHERS)!;
  while (!path.includes(at)) {
    path.push(at);
    at = waiting.get(at)!.after.find((name) => waiting.has(name))!;
  }
  return [...path.slice(path.indexOf(at)), at];
}
