/*
 * A turn of the event loop: work that takes long gives one up now and then, so that other work of
 * its thread goes on. Nothing else in the package asks the event loop for a turn.
 */

/** Lets other work of this thread go on. */
export function yieldNow(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
