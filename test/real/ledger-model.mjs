/*
 * What commits 1 to n of the ledger's process make of its state: a function of n alone.
 */
export const keyCount = 97;
export const itemsMax = 5;

/** The value that commit n sets. */
export function textOf(n, valueBytes) {
  return `${n}:`.padEnd(valueBytes, '.');
}

/** What the state holds of a key behind commit n. */
export function expectedOf(key, n, valueBytes) {
  if (n === 0 || n < key) return { value: undefined, count: 0, items: [] };
  // Commit 0 is none: key 0 is first written by commit `keyCount`.
  const count = Math.floor((n - key) / keyCount) + (key === 0 ? 0 : 1);
  if (count === 0) return { value: undefined, count: 0, items: [] };
  const last = n - ((n - key) % keyCount);
  const length = Math.min(count, itemsMax);
  const items = Array.from({ length }, (_, i) => last - (length - 1 - i) * keyCount);
  return { value: textOf(last, valueBytes), count, items };
}
