/*
 * Warnings about what an opening found, kept for the first listener.
 */
import type { RecoveryReport } from '../recovery/recover.ts';
import type { EventHub } from './events.ts';

/** What the opening has to say, for the first listener of warnings. */
export function keepWarnings(hub: EventHub, recovery: RecoveryReport): void {
  const { tornTail, damagedHistory, lsn, path, skipped, loss } = recovery;
  if (loss) {
    const { reachedLsn, keptIn, lost, missing } = loss;
    const gone = [
      ...(missing.length > 0 ? [`operators ${missing.join(', ')} are missing`] : []),
      ...(lost ? ['commits were given up'] : []),
    ];
    const what = gone.length > 0 ? gone.join(' and ') : 'damage was passed over';
    const message = `${what}: the state is that of LSN ${reachedLsn}, all files are kept in ${keptIn}`;
    const code = missing.length > 0 && !lost ? 'OPERATORS_MISSING' : 'COMMITS_LOST';
    hub.warn({ code, message, details: { ...loss } });
  }
  if (skipped.length > 0) {
    const ids = skipped.map(({ checkpoint }) => checkpoint).join(', ');
    const message = `the state is recovered without checkpoint ${ids}, which is damaged, and is whole`;
    const details = { path, checkpoint: recovery.checkpoint, skipped };
    hub.warn({ code: 'CHECKPOINT_SKIPPED', message, details });
  }
  if (tornTail) {
    const message = `the end of the log was cut from LSN ${tornTail.lsn} on: ${tornTail.why}`;
    hub.warn({ code: 'TORN_TAIL', message, details: { ...tornTail } });
  }
  if (damagedHistory && !loss) {
    const message = `the log ends before the newest checkpoint; it goes on behind LSN ${lsn}`;
    hub.warn({ code: 'DAMAGED_HISTORY', message, details: { lsn } });
  }
}
