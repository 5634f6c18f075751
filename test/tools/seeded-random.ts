/*
 * Random numbers from a seed, for tests whose choices must be the same in each run.
 */
export { SeededRandom } from '../../src/testing/seeded-random.ts';
