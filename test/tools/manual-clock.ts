/*
 * A clock that moves when the test says so.
 */
export { SimulatedClock as ManualClock } from '../../src/testing/simulated-clock.ts';
