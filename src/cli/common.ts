/*
 * What all verbs share: options, exit statuses, and where to read from.
 */
import { createStore, type ObjectStore } from '../engine/index.ts';

/** Options of every verb. */
export interface CommonOptions {
  readonly json?: boolean;
  /** Directory of the snapshots and checkpoint records, when it is not DIR. */
  readonly store?: string;
}

/** Exit statuses. */
export const status = { fine: 0, found: 1, failed: 2 } as const;

/** The store that `--store` names. */
export function storeOf({ store }: CommonOptions): { store?: ObjectStore } {
  return store === undefined ? {} : { store: createStore({ kind: 'file', path: store }) };
}
