/*
 * Numbers as people read them.
 */

/** 1234567 as 1,234,567. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** Bytes in the largest unit that leaves at least one whole. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let size = bytes;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds, from one second on as seconds. */
export function durationText(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
