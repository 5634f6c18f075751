/*
 * Freezes that wait for their border: each wants the position behind its LSN, once that is durable
 * (C1). The position is known when the group that ends there has been written.
 */
import type { LogPosition } from './log-position.ts';
import type { PendingGroup } from './pending-group.ts';

interface Cut {
  readonly lsn: number;
  position: LogPosition | undefined;
  resolve(position: LogPosition): void;
  reject(cause: unknown): void;
}

export class Cuts {
  #waiting: Cut[] = [];

  /** Waits for the border behind an LSN; the position is given where it is known already. */
  add(lsn: number, position: LogPosition | undefined): Promise<LogPosition> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lsn, position, resolve, reject });
    });
  }

  /** Groups were written, and the log now ends at `end`. */
  written(groups: readonly PendingGroup[], end: LogPosition): void {
    for (const cut of this.#waiting) {
      if (cut.position) continue;
      if (cut.lsn === end.lsn) cut.position = end;
      else cut.position = groups.find((group) => group.lastLsn === cut.lsn)?.position;
    }
  }

  /** Everything up to an LSN is durable. */
  synced(durableLsn: number): void {
    const waiting: Cut[] = [];
    for (const cut of this.#waiting) {
      if (cut.position && cut.lsn <= durableLsn) cut.resolve(cut.position);
      else waiting.push(cut);
    }
    this.#waiting = waiting;
  }

  /** The log has stopped. */
  reject(cause: unknown): void {
    for (const cut of this.#waiting) cut.reject(cause);
    this.#waiting = [];
  }
}
