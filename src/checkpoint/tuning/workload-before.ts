/*
 * What a state holds as a recording begins: sums of its tables, and of single keys as they turn up.
 * Sums over a chain of several snapshots are reduced by the share of distinct keys in a sample.
 */
import { Entry } from '../../snapshot/entry.ts';
import { entryFlags } from '../../snapshot/entry-format.ts';
import { setProbe, type Image } from '../../snapshot/image.ts';
import { PointFold } from '../../snapshot/point-fold.ts';
import { sampleOverlap } from '../chain-overlap.ts';
import type { SampledKey } from './workload-sampler.ts';
import type { FollowedKey, WorkloadTable } from './workload.ts';

/** What the tables of these images hold, oldest image first. */
export function tablesBefore(
  images: readonly Image[],
  itemsMax: (table: number) => number | undefined,
): WorkloadTable[] {
  const share = images.length === 0 ? 1 : sampleOverlap(images)(0, images.length);
  const sums = new Map<number, { entries: number; dataBytes: number }>();
  for (const { slices } of images) {
    for (const { facts } of slices) {
      const { table, entryCount, dataBytes } = facts;
      const sum = sums.get(table) ?? { entries: 0, dataBytes: 0 };
      sum.entries += entryCount;
      sum.dataBytes += dataBytes;
      sums.set(table, sum);
    }
  }
  return [...sums].map(([table, { entries, dataBytes }]) => ({
    table,
    itemsMax: itemsMax(table),
    entries: Math.round(entries * share),
    dataBytes: Math.round(dataBytes * share),
  }));
}

/** Looks up what images hold of a key. */
export class BeforeLookup {
  readonly #fold = new PointFold();
  readonly #probe = new Entry();

  /** What they hold, newest first; of a list with `itemsMax` its items together. */
  find(
    key: SampledKey,
    newestFirst: readonly Image[],
    itemsMax: number | undefined,
  ): FollowedKey['before'] {
    const { table, keyHash, bytes, keyStart, keyEnd, subKeyEnd } = key;
    const place = { bytes, start: keyStart, end: keyEnd, subKeyEnd };
    setProbe(this.#probe, table, keyHash, place);
    if (itemsMax !== undefined) return this.#items(newestFirst, itemsMax);
    const fold = this.#fold;
    fold.reset();
    for (const image of newestFirst) if (image.collect(this.#probe, fold)) break;
    // At time 0 nothing has expired: what is there counts, for however long it lives.
    if (!fold.settle(0)) return undefined;
    return { entries: 1, valueBytes: fold.entry.valueEnd - fold.entry.subKeyEnd };
  }

  #items(newestFirst: readonly Image[], itemsMax: number): FollowedKey['before'] {
    let entries = 0;
    let valueBytes = 0;
    for (const image of newestFirst) {
      const cleared = image.clearLsn(this.#probe);
      const cursor = image.keyCursor(this.#probe);
      while (cursor.next()) {
        // The clear of the key itself, and items that it or a clear of the table took.
        if ((cursor.flags & entryFlags.subKey) === 0 || cursor.lsn < cleared) continue;
        entries++;
        valueBytes += cursor.valueEnd - cursor.subKeyEnd;
      }
      if (cleared > 0) break;
    }
    if (entries === 0) return undefined;
    const kept = Math.min(entries, itemsMax);
    return { entries: kept, valueBytes: Math.round((valueBytes * kept) / entries) };
  }
}
