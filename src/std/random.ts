/*
 * The seam of randomness: store ids, hash seeds and segment salts come from here, so that a
 * simulation is deterministic.
 */
import { randomFillSync } from 'node:crypto';

/** Fills buffers with random bytes. */
export interface Random {
  fill(target: Uint8Array): void;
}

/** The cryptographic source of the machine. */
export const systemRandom: Random = {
  fill(target) {
    randomFillSync(target);
  },
};
