/*
 * A turn of the event loop: work that takes long gives one up now and then, so that other work of
 * its thread goes on. Nothing else in the package asks the event loop for a turn.
 */

/** As it is when this is loaded: who puts another one in its place later must not stop commits. */
const immediate = setImmediate;

/** Lets other work of this thread go on. */
export function yieldNow(): Promise<void> {
  return new Promise((resolve) => {
    immediate(resolve);
  });
}
