/*
 * Commits in flight. Processing goes on while earlier commits are written and synced; when the window
 * is full it waits for the oldest. The first commit that fails ends the job at the next call, and no
 * later one is taken for durable, since promises resolve in the order of the commits.
 */

/** A bounded number of commits that were sealed and not yet acknowledged. */
export class CommitWindow {
  readonly #inFlightMax: number;
  #inFlight = 0;
  #acknowledged = 0;
  #failure: { readonly cause: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(inFlightMax: number) {
    this.#inFlightMax = inFlightMax;
  }

  /** Commits that were acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Takes a commit; resolves when there is room for the next. */
  async add(commit: Promise<unknown>): Promise<void> {
    this.#inFlight++;
    commit.then(
      () => {
        this.#inFlight--;
        this.#acknowledged++;
        this.#wake?.();
      },
      (cause: unknown) => {
        this.#failure ??= { cause };
        this.#wake?.();
      },
    );
    await this.#shrinkTo(this.#inFlightMax - 1);
  }

  /** Resolves when every commit is acknowledged. */
  async drain(): Promise<void> {
    await this.#shrinkTo(0);
  }

  async #shrinkTo(inFlightMax: number): Promise<void> {
    while (this.#failure === undefined && this.#inFlight > inFlightMax) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}
