/*
 * The contract of ObjectStore as cases that any store can run, under any test runner. Each case gets
 * a fresh store, opens it, and throws an assertion error where the store breaks the contract.
 */
import { AssertionError } from 'node:assert';

import type { ObjectStore } from '../store/object-store.ts';
import { nameCases } from './name-cases.ts';
import { readCases } from './read-cases.ts';
import { reopenCases, type ReopenStore } from './reopen-cases.ts';
import { writeCases } from './write-cases.ts';

/** One sentence of the contract. */
export interface ConformanceCase {
  /** What is checked, as "situation: outcome". */
  readonly name: string;
  /**
   * Checks it on a store of its own.
   *
   * @param createStore - Makes a store without objects, which is not open yet.
   * @throws AssertionError of node:assert when the store breaks the contract.
   */
  readonly run: (createStore: () => Promise<ObjectStore>) => Promise<void>;
}

/** Settings of the suite. */
export interface ObjectStoreConformanceOptions {
  /**
   * Makes a new instance over the objects of one that has been closed; it is not open yet. Adds the
   * cases about what outlives an instance.
   *
   * @defaultValue none: the store outlives nothing, and those cases are left out
   */
  readonly reopenStore?: ReopenStore;
}

/**
 * Lists the cases that a store has to pass.
 *
 * @example With vitest:
 * ```ts
 * import { describe, test } from 'vitest';
 * import { objectStoreConformance } from 'tidemark/testing';
 *
 * describe('MyStore', () => {
 *   for (const { name, run } of objectStoreConformance()) {
 *     test(name, () => run(async () => new MyStore()));
 *   }
 * });
 * ```
 *
 * @example With node:test, for a store that outlives its instances:
 * ```ts
 * import test from 'node:test';
 * import { objectStoreConformance } from 'tidemark/testing';
 *
 * const reopenStore = async (closed: ObjectStore) => new MyStore((closed as MyStore).bucket);
 * for (const { name, run } of objectStoreConformance({ reopenStore })) {
 *   test(name, () => run(async () => new MyStore(await emptyBucket())));
 * }
 * ```
 */
export function objectStoreConformance(
  options: ObjectStoreConformanceOptions = {},
): readonly ConformanceCase[] {
  const checks = [...readCases, ...writeCases, ...nameCases];
  if (options.reopenStore) checks.push(...reopenCases(options.reopenStore));
  return checks.map(([name, check]) => ({
    name,
    run: async (createStore) => {
      const store = await createStore();
      await store.open();
      try {
        await check(store);
      } catch (error) {
        throw toAssertionError(error);
      } finally {
        await store.close();
      }
    },
  }));
}

/** A call that should have succeeded and was rejected breaks the contract, too. */
function toAssertionError(error: unknown): AssertionError {
  if (error instanceof AssertionError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const broken = new AssertionError({ message: `the store rejected a legal call: ${text}` });
  return Object.assign(broken, { cause: error });
}
