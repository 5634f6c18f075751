/*
 * Durations as people write them: a whole number with a unit, such as 90s, 15m, 24h, 7d or 4w. For
 * sentences only; options and details are milliseconds. The command line, which may not reach down
 * here, has its own reader of them.
 */

const unitsMs = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;

/** A number of milliseconds in the largest unit that gives it exactly. */
export function formatDuration(milliseconds: number): string {
  for (const [unit, each] of Object.entries(unitsMs)) {
    if (milliseconds % each === 0) return `${milliseconds / each}${unit}`;
  }
  return `${milliseconds}ms`;
}
