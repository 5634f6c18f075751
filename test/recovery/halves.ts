/*
 * Two halves of a store, which the tests of joining work on.
 */
import { expect } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import {
  restoreWith,
  type RestoreFrom,
  type RestoreOptions,
} from '../../src/engine/restore-store.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import type { RestoreReport } from '../../src/recovery/restore-run.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { dir, TestStore } from './reader-store.ts';

const keyGroups = 4;
const small = { segmentBytesMax: 16_384, keyGroups, checkpointing: false } as const;

export const low: RestoreFrom = { dir: '/low', keyGroups: { from: 0, to: 2 } };
export const high: RestoreFrom = { dir: '/high', keyGroups: { from: 2, to: 4 } };
export const both: readonly RestoreFrom[] = [low, high];

/** A store at `dir`, and what is made of it. */
export class Halves {
  readonly store: TestStore = new TestStore();
  readonly on: CopyComponents = { ...this.store.components, random: systemRandom, threads: false };

  restored(options: Partial<RestoreOptions>): Promise<RestoreReport> {
    return restoreWith({ from: { dir }, to: '/joined', ...options }, this.on);
  }

  async within(
    where: string,
    act: (engine: Engine) => void | Promise<void>,
    options: Partial<EngineOptions> = {},
  ): Promise<void> {
    const engine = await openEngineWith({ dir: where, ...small, ...options }, this.on);
    await act(engine);
    await engine.close();
  }

  /** Makes the store, and its halves. */
  async split(prepare: (engine: Engine) => void | Promise<void>): Promise<void> {
    await this.within(dir, async (engine) => {
      await prepare(engine);
      await engine.commit({ positions: { source: 1 } });
    });
    for (const { dir: to, keyGroups: groups } of both) {
      await this.restored({ to, keyGroups: groups! });
    }
  }

  /** All entries of a store, which has no fault. */
  async dump(where: string): Promise<unknown[]> {
    const reader = await openReaderWith({ dir: where }, this.on);
    const found = [...reader.entries()].map(({ operator, state, key, value }) =>
      JSON.stringify([operator, state, key, value]),
    );
    await reader.close();
    expect((await verifyStoreWith({ dir: where }, this.on)).faults).toEqual([]);
    return found.sort();
  }
}

export const fill = (engine: Engine, name = 'op', count = 20): void => {
  for (let i = 0; i < count; i++) engine.operator(name).value('v').set(i, i);
};
