/*
 * Medians, spreads, percentiles, how numbers are printed, and what a run was asked for.
 */

export function summary(samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, least: sorted[0], greatest: sorted.at(-1) };
}

export function percentile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** A number with three digits that count, or all of a whole one below ten thousand. */
export function short(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  if (size >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (size >= 1e4) return `${(value / 1e3).toPrecision(3)} K`;
  if (size >= 100) return value.toFixed(0);
  return value.toPrecision(3);
}

/** A generator of numbers below 1 that gives the same again (mulberry32, Tommy Ettinger). */
export function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What was asked for on a command line, without where results and files go. */
export function askedFor(words) {
  const places = ['--json', '--dir', '--profile'];
  return words.filter((word, i) => !places.includes(word) && !places.includes(words[i - 1]));
}
