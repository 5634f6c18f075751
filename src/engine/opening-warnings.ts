/*
 * Warnings about what an opening found, kept for the first listener.
 */
import type { RecoveryReport } from '../recovery/recover.ts';
import type { EventHub } from './events.ts';

/** What the opening has to say, for the first listener of warnings. */
export function keepWarnings(hub: EventHub, recovery: RecoveryReport): void {
  const { tornTail, damagedHistory, lsn } = recovery;
  if (tornTail) {
    const message = `the end of the log was cut from LSN ${tornTail.lsn} on: ${tornTail.why}`;
    hub.warn({ code: 'TORN_TAIL', message, details: { ...tornTail } });
  }
  if (damagedHistory) {
    const message = `the log ends before the newest checkpoint; it goes on behind LSN ${lsn}`;
    hub.warn({ code: 'DAMAGED_HISTORY', message, details: { lsn } });
  }
}
