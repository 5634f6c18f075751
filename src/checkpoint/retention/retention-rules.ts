/*
 * Which checkpoints stay, and from where the log does. Pure; retention-plan.ts makes the complete
 * plan of it.
 *
 * Rules add up. Beside those of the settings, always:
 * - R3: the newest checkpoint; of each of its snapshots, the newest checkpoint that does without it,
 *   and the log from there, so that damage to any one snapshot or record leaves a path; the newest of
 *   the two newest bases, and the log from the older. While one base is all there is, everything stays.
 * - O5: until the opening has published a checkpoint of its own, what a recovery without the newest
 *   found record needs: the record before it, and the log from there.
 * - Records that cannot be read, or that name a snapshot that is not there, count for nothing and
 *   stay: they are evidence of damage. Where the newest is one of them, everything stays. Those that
 *   name a snapshot which the opening found damaged stay until a newer checkpoint is there.
 *
 * All of that is judged along the ancestry of the current timeline (T2). What is of another future
 * is kept whole while the point where it was left is in the window: while something that is kept reads
 * the log on from there or from before. Then it goes whole, but for savepoints.
 *
 * Ages and periods are judged by when a checkpoint was made, the window by the times of commits.
 */
import { must } from '../../std/assert.ts';
import { formatDuration } from '../../std/duration.ts';
import type { CheckpointRecord } from '../checkpoint-record.ts';
import { onlyFirst, type Timelines } from '../timelines/timelines.ts';
import { otherFutures, unknownFuture, type OtherFuture } from './retention-futures.ts';
import type { RetentionInput } from './retention-input.ts';
import { keptBySchedule } from './retention-schedule.ts';
import { lastThrough, leastBehind } from './retention-search.ts';

/** Why something stays or goes. */
export type RetentionRule =
  | 'newest'
  | 'second-path'
  | 'bases'
  | 'opening'
  | 'checkpoints'
  | 'age'
  | 'schedule'
  | 'window'
  | 'savepoint'
  | 'pin'
  | 'damaged'
  | 'hold'
  | 'timeline'
  | 'needed'
  | 'unfinished'
  | 'foreign'
  | 'log'
  | 'expired'
  | 'leftover';

/** A rule with what it says about one object. */
export interface RetentionReason {
  readonly rule: RetentionRule;
  readonly text: string;
}

/** From where the log has to stay: everything behind an LSN. */
export interface LogNeed extends RetentionReason {
  readonly lsn: number;
  /** The segment of the position, when a record is read on from there; else undefined. */
  readonly segment: number | undefined;
}

/** What stays. */
export interface KeptRecords {
  /** Why everything stays, when it does. */
  readonly hold: RetentionReason | undefined;
  /** Reasons by the id of the record; records that are not here go. */
  readonly reasons: ReadonlyMap<number, readonly RetentionReason[]>;
  readonly needs: readonly LogNeed[];
  /** Checkpoints that can be restored, oldest first. */
  readonly usable: readonly CheckpointRecord[];
  /** What becomes of each timeline but the current one. */
  readonly futures: ReadonlyMap<number, OtherFuture>;
}

export function keepRecords(input: RetentionInput): KeptRecords {
  return new Rules(input).run();
}

class Rules {
  readonly #in: RetentionInput;
  readonly #reasons = new Map<number, RetentionReason[]>();
  readonly #needs: LogNeed[] = [];
  readonly #dropped: ReadonlySet<number>;
  readonly #usable: readonly CheckpointRecord[];
  readonly #others: CheckpointRecord[] = [];
  readonly #timelines: Timelines;

  constructor(input: RetentionInput) {
    this.#in = input;
    const { droppedMarks, timelines = onlyFirst } = input.inventory;
    this.#timelines = timelines;
    this.#dropped = new Set(droppedMarks.map(({ id }) => id));
    this.#usable = this.#findUsable();
  }

  run(): KeptRecords {
    const newest = this.#usable.at(-1);
    const hold = this.#ruleOfTheNewest(newest) ?? this.#rulesOfDamage(newest);
    if (hold === undefined) this.#rulesOfSettings();
    else for (const { id } of this.#in.inventory.records) this.#keep(id, hold);
    this.#rulesOfUse();
    const futures = otherFutures(this.#timelines, { needs: this.#needs, hold });
    for (const { id, timeline, savepoint } of this.#others) {
      const future = futures.get(timeline);
      if (future?.isKept !== false) this.#keep(id, future?.reason ?? unknownFuture(timeline));
      else this.#keepNamed(id, savepoint);
    }
    const reasons = this.#reasons;
    return { hold, reasons, needs: this.#needs, usable: this.#usable, futures };
  }

  /** Records of the current timeline that name only what is there; the others stay, as evidence. */
  #findUsable(): CheckpointRecord[] {
    const { records, snapshots } = this.#in.inventory;
    const sizes = new Map(snapshots.map(({ name, bytes }) => [name, bytes]));
    const usable: CheckpointRecord[] = [];
    for (const { id, record, fault } of records) {
      const missing = record?.chain.find((link) => sizes.get(link.name) !== link.bytes);
      if (!record) this.#keep(id, { rule: 'damaged', text: fault ?? 'cannot be read' });
      else if (missing) {
        const text = `names a snapshot that is missing or of another size: ${missing.name}`;
        this.#keep(id, { rule: 'damaged', text });
      } else if (!this.#timelines.isCurrent(record)) this.#others.push(record);
      else if (this.#isDamaged(record)) this.#keepDamaged(record);
      else usable.push(record);
    }
    return usable;
  }

  #isDamaged({ chain }: CheckpointRecord): boolean {
    const { damaged } = this.#in;
    return damaged !== undefined && chain.some(({ name }) => damaged.has(name));
  }

  /**
   * Evidence. While it is the newest it holds everything back; once a checkpoint has taken its place
   * it may go, but for what a person named.
   */
  #keepDamaged({ id, savepoint }: CheckpointRecord): void {
    if (savepoint === undefined || this.#dropped.has(id)) return;
    const text = `savepoint ${JSON.stringify(savepoint)}, a snapshot of which is damaged`;
    this.#keep(id, { rule: 'damaged', text });
  }

  /** What holds everything back, or undefined. */
  #ruleOfTheNewest(newest: CheckpointRecord | undefined): RetentionReason | undefined {
    const { settings, inventory } = this.#in;
    if (!settings) return { rule: 'hold', text: 'retention is off' };
    const last = inventory.records.findLast(
      ({ record }) => !record || this.#timelines.isCurrent(record),
    );
    if (!last) return { rule: 'hold', text: 'there is no checkpoint yet' };
    if (newest?.id !== last.id) {
      return { rule: 'hold', text: `the newest checkpoint, ${last.id}, cannot be used` };
    }
    this.#keep(newest.id, { rule: 'newest', text: 'the newest checkpoint' });
    this.#need(newest, 'newest', `checkpoint ${newest.id}, the newest`);
    return undefined;
  }

  /** R3 and O5: what is left when any one snapshot or record turns out to be damaged. */
  #rulesOfDamage(newest: CheckpointRecord | undefined): RetentionReason | undefined {
    if (!newest) return undefined;
    for (const { name } of newest.chain) {
      const without = this.#usable.findLast(({ chain }) => chain.every((l) => l.name !== name));
      if (!without) return { rule: 'hold', text: 'there is one base only: nothing replaces it' };
      const text = `replaces checkpoint ${newest.id} should a snapshot of it be damaged`;
      this.#keep(without.id, { rule: 'second-path', text });
      this.#need(without, 'second-path', `checkpoint ${without.id} ${text}`);
    }
    const base = baseOf(newest);
    const older = must(
      this.#usable.findLast((record) => baseOf(record) !== base),
      'something is of another base',
    );
    const lsn = must(older.chain[0], 'a checkpoint has a base').lastLsn;
    this.#keep(older.id, {
      rule: 'bases',
      text: 'the newest of the older of the two newest bases',
    });
    this.#needs.push({
      rule: 'bases',
      lsn,
      segment: undefined,
      text: `the older of the two newest bases ends at LSN ${lsn}`,
    });
    return this.#ruleOfTheOpening();
  }

  #ruleOfTheOpening(): RetentionReason | undefined {
    const { newestFound } = this.#in;
    if (newestFound === undefined) return undefined;
    const before = this.#usable.findLast(({ id }) => id < newestFound);
    if (!before) {
      return { rule: 'hold', text: `this opening has published nothing beside ${newestFound}` };
    }
    const text = `this opening has published nothing beside checkpoint ${newestFound} yet`;
    this.#keep(before.id, { rule: 'opening', text });
    this.#need(before, 'opening', `checkpoint ${before.id}, as ${text}`);
    return undefined;
  }

  #rulesOfSettings(): void {
    const { settings, now } = this.#in;
    if (!settings) return;
    const { checkpoints, ageMs, schedule } = settings;
    const counted = new Set<number>();
    for (const { id, lsn, savepoint } of this.#usable.toReversed()) {
      if (counted.size >= checkpoints) break;
      if (counted.has(lsn) || (savepoint !== undefined && !this.#dropped.has(id))) continue;
      counted.add(lsn);
      const text = checkpoints === 1 ? 'the newest checkpoint' : `one of the newest ${checkpoints}`;
      this.#keep(id, { rule: 'checkpoints', text });
    }
    for (const { id, createdAt } of this.#usable) {
      if (ageMs === 0 || createdAt < now - ageMs * 1000) continue;
      this.#keep(id, { rule: 'age', text: `was made in the last ${formatDuration(ageMs)}` });
    }
    for (const { id, text } of keptBySchedule(this.#usable, schedule, now)) {
      this.#keep(id, { rule: 'schedule', text });
    }
    this.#ruleOfTheWindow(settings.windowMs);
  }

  /**
   * The newest checkpoint at or before the start of the window, and the log from it. Of those inside,
   * the newest of each tenth: the start moves on, and what it passes must leave one close behind it,
   * or the log would have to stay from the old start on.
   */
  #ruleOfTheWindow(windowMs: number): void {
    if (windowMs === 0) return;
    const newest = this.#usable.at(-1)!;
    // A clock that was set back must not shorten the window.
    const start = Math.max(this.#in.now, newest.timestamp) - windowMs * 1000;
    const partMicros = (windowMs * 1000) / windowParts;
    let later: number | undefined;
    for (const { id, timestamp } of this.#usable.toReversed()) {
      const part = Math.floor(timestamp / partMicros);
      if (timestamp <= start || part === later) continue;
      later = part;
      this.#keep(id, {
        rule: 'window',
        text: `a mark inside the window of ${formatDuration(windowMs)}`,
      });
    }
    const first = this.#usable.findLast(({ timestamp }) => timestamp <= start);
    if (first) {
      const text = `the window of ${formatDuration(windowMs)} starts behind it`;
      this.#keep(first.id, { rule: 'window', text });
      this.#need(first, 'window', `checkpoint ${first.id}: ${text}`);
      return;
    }
    const oldest = this.#usable[0]!;
    const text = `the window of ${formatDuration(windowMs)} starts before the first checkpoint`;
    this.#keep(oldest.id, { rule: 'window', text });
    this.#needs.push({ rule: 'window', lsn: 0, segment: undefined, text });
  }

  /** Savepoints and pins. */
  #rulesOfUse(): void {
    for (const { id, savepoint } of this.#usable) this.#keepNamed(id, savepoint);
    const least = leastBehind(this.#usable, (record) => record.lsn);
    for (const pin of this.#in.pins) {
      const { reason } = pin;
      if ('recordId' in pin) {
        this.#keep(pin.recordId, { rule: 'pin', text: reason });
        continue;
      }
      if ('snapshots' in pin) continue;
      // Of another future: what leads to it is in the past of this one.
      const shared = this.#timelines.sharedWithCurrent(pin.timeline ?? this.#timelines.current);
      const lsn = Math.min(pin.lsn, shared ?? pin.lsn);
      const at = this.#usable[lastThrough(least, lsn)];
      if (at) {
        this.#keep(at.id, { rule: 'pin', text: reason });
        this.#need(at, 'pin', reason);
      } else this.#needs.push({ rule: 'pin', lsn: 0, segment: undefined, text: reason });
    }
  }

  #keepNamed(id: number, savepoint: string | undefined): void {
    if (savepoint === undefined || this.#dropped.has(id)) return;
    this.#keep(id, { rule: 'savepoint', text: `savepoint ${JSON.stringify(savepoint)}` });
  }

  #keep(id: number, reason: RetentionReason): void {
    const reasons = this.#reasons.get(id);
    if (reasons) reasons.push(reason);
    else this.#reasons.set(id, [reason]);
  }

  /** The log from a record on, its own segment included: a recovery starts reading there. */
  #need({ lsn, position }: CheckpointRecord, rule: RetentionRule, text: string): void {
    this.#needs.push({ rule, lsn, segment: position.segment, text });
  }
}

/** Parts of a window in each of which a checkpoint stays. */
const windowParts = 10;

function baseOf({ chain }: CheckpointRecord): string | undefined {
  return chain[0]?.name;
}
