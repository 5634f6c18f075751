/*
 * The checks of options, where the engine's options look for them.
 */
export { amount, badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';
