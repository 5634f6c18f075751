/*
 * Stores on paper: records, snapshots and segments as a plan of retention is given them.
 */
import {
  droppedName,
  recordName,
  snapshotName,
  type ChainLink,
  type CheckpointRecord,
} from '../../../src/checkpoint/checkpoint-record.ts';
import type {
  RetentionInput,
  StoredSegment,
} from '../../../src/checkpoint/retention/retention-input.ts';
import type { RetentionPlan } from '../../../src/checkpoint/retention/retention-plan.ts';
import {
  retentionDefault,
  type RetentionSettings,
} from '../../../src/checkpoint/retention/retention-settings.ts';

export const second = 1_000_000;
export const hour: number = 3600 * second;
export const day: number = 24 * hour;
/** 2026-11-18T12:30:00Z, a Wednesday. */
export const noon: number = Date.UTC(2026, 10, 18, 12, 30) * 1000;
/** LSNs of a segment of the log on paper. */
export const lsnsPerSegment = 10;

/** Name of the snapshot that the attempt of an id made. */
export const snapshotOf = (id: number): string =>
  snapshotName(String(id).padStart(2, '0').repeat(32), id);

export const segmentOf = (number: number): string =>
  `wal/${String(number).padStart(10, '0')}-00000001.wal`;

/** What differs from the defaults. */
type InputChange = Partial<Omit<RetentionInput, 'settings'>> & {
  readonly settings?: Partial<RetentionSettings> | undefined;
};

interface Made {
  readonly lsn: number;
  /** Ids of the snapshots of the chain; an own delta is added unless it is given. */
  readonly chain?: readonly number[];
  readonly at?: number;
  readonly savepoint?: string;
}

/** Makes a store step by step. */
export class PaperStore {
  readonly records: CheckpointRecord[] = [];
  readonly dropped: Set<number> = new Set();
  readonly links: Map<number, ChainLink> = new Map();
  lastLsn = 0;

  /** A checkpoint; its chain goes on from the record before, or is the one given. */
  add({ lsn, chain, at = lsn * second, savepoint }: Made): CheckpointRecord {
    const before = this.records.at(-1);
    const id = (before?.id ?? 0) + 1;
    const ids = chain ?? [...(before?.chain.map((link) => idOf(link)) ?? []), id];
    if (ids.includes(id)) this.links.set(id, this.#link(id, ids, lsn));
    const record = {
      id,
      storeId: '',
      timeline: 1,
      epoch: 1,
      parent: before?.id ?? 0,
      kind: 'delta',
      lsn,
      timestamp: at,
      fromTimestamp: 0,
      createdAt: at,
      position: {
        lsn,
        segment: Math.ceil(lsn / lsnsPerSegment),
        timeline: 1,
        offset: 128,
        chain: { crc: 0, mix: 0 },
      },
      chain: ids.map((one) => this.links.get(one)!),
      savepoint,
    } as unknown as CheckpointRecord;
    this.records.push(record);
    this.lastLsn = Math.max(this.lastLsn, lsn);
    return record;
  }

  /** A merge of the whole chain into a base, with deltas behind it that were made meanwhile. */
  merge(meanwhile: readonly number[] = []): CheckpointRecord {
    const { lsn, createdAt, id: before } = this.records.at(-1)!;
    const id = before + 1;
    return this.add({ lsn, chain: [id, ...meanwhile], at: createdAt });
  }

  /** Takes away the records that a plan does not keep. */
  collect(plan: RetentionPlan): void {
    const kept = new Set(keptIds(plan));
    for (const [i, { id }] of [...this.records.entries()].reverse()) {
      if (!kept.has(id)) this.records.splice(i, 1);
    }
  }

  input(change: InputChange = {}): RetentionInput {
    const { settings, ...rest } = change;
    const segments: StoredSegment[] = [];
    for (let number = 1; (number - 1) * lsnsPerSegment <= this.lastLsn; number++) {
      const firstLsn = (number - 1) * lsnsPerSegment + 1;
      segments.push({ name: segmentOf(number), bytes: 1000, number, timeline: 1, firstLsn });
    }
    return {
      inventory: {
        records: this.records.map((record) => {
          const { id } = record;
          return { name: recordName(id), bytes: 10, id, record, fault: undefined };
        }),
        droppedMarks: [...this.dropped].map((id) => ({ name: droppedName(id), bytes: 0, id })),
        snapshots: [...this.links.values()].map((link) => ({
          name: link.name,
          bytes: link.bytes,
          id: idOf(link),
        })),
        foreign: [],
        log: { segments, brokenBy: undefined, lowWater: undefined },
      },
      now: this.records.at(-1)?.createdAt ?? 0,
      pins: [],
      newestFound: undefined,
      unfinished: () => false,
      ...rest,
      settings:
        'settings' in change && settings === undefined
          ? undefined
          : { ...retentionDefault, ...settings },
    };
  }

  #link(id: number, chain: readonly number[], lastLsn: number): ChainLink {
    const before = chain[chain.indexOf(id) - 1];
    const rest = chain.slice(chain.indexOf(id) + 1);
    const covers = rest.length > 0 ? this.links.get(rest[0]!)!.fromLsn : lastLsn;
    return {
      name: snapshotOf(id),
      kind: before === undefined ? 'base' : 'delta',
      sha256: '',
      bytes: 100,
      entryCount: 1,
      dataBytes: 100,
      fromLsn: before === undefined ? 0 : this.links.get(before)!.lastLsn,
      lastLsn: covers,
      lastTimestamp: 0,
    };
  }
}

const idOf = (link: ChainLink): number => Number(link.name.slice(-10));

/** Ids of the records that a plan keeps. */
export function keptIds(plan: RetentionPlan): number[] {
  return plan.lines
    .filter(({ kind, action }) => kind === 'record' && action === 'keep')
    .map(({ name }) => Number(/\d+/.exec(name)![0]));
}

/** Numbers of the segments that a plan keeps. */
export function keptSegments(plan: RetentionPlan): number[] {
  return plan.lines
    .filter(({ kind, action }) => kind === 'segment' && action === 'keep')
    .map(({ name }) => Number(/\d+/.exec(name)![0]));
}

export function lineOf(plan: RetentionPlan, name: string): string {
  const line = plan.lines.find((one) => one.name === name);
  return line ? `${line.action} ${line.rules.join(' ')}: ${line.why}` : 'no line';
}

/** Three bases: 1 with deltas to 4, 5 with deltas to 8, 9 with deltas to 12; ten LSNs apart. */
export function threeBases(): PaperStore {
  const store = new PaperStore();
  for (let i = 0; i < 3; i++) {
    if (i > 0) store.merge();
    for (let n = i === 0 ? 0 : 1; n < 4; n++) store.add({ lsn: store.lastLsn + 10 });
  }
  return store;
}
