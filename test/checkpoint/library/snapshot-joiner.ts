/*
 * Files of lineages on one base, and joining them, over a file system in memory.
 */
import { expect } from 'vitest';
import type { ConflictPolicy } from '../../../src/checkpoint/library/snapshot-conflicts.ts';
import type { CreateSnapshotOptions } from '../../../src/checkpoint/library/snapshot-create.ts';
import {
  mergeLineagesWith,
  type JoinedSnapshot,
  type MergeLineagesOptions,
} from '../../../src/checkpoint/library/snapshot-lineages.ts';
import { Library, toMap } from './snapshot-fixture.ts';

export class Joiner extends Library {
  #count = 0;

  /** Time of the base. */
  readonly start: number = this.clock.nowMicros();

  delta(
    changes: Readonly<Record<string, unknown>>,
    storeId: string,
    after: number,
    more: CreateSnapshotOptions = {},
  ): Promise<string> {
    const options = { base: '/base', storeId, timestamp: this.start + after, ...more };
    return this.make(`/delta-${++this.#count}`, changes, options);
  }

  async join(
    lineages: readonly (readonly string[])[],
    conflicts: ConflictPolicy,
    more: Partial<MergeLineagesOptions> = {},
  ): Promise<JoinedSnapshot & { readonly state: Map<unknown, unknown> }> {
    const output = `/joined-${++this.#count}`;
    const joined = await mergeLineagesWith('/base', lineages, { output, conflicts, ...more }, this);
    const snapshot = await this.open(output);
    expect(await snapshot.verify()).toMatchObject({ faults: [], sha256: joined.sha256 });
    await snapshot.close();
    return { ...joined, state: toMap(await this.entries(output)) };
  }
}

export async function withBase(state: Readonly<Record<string, unknown>>): Promise<Joiner> {
  const library = new Joiner();
  await library.make('/base', state);
  return library;
}
