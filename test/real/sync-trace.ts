/*
 * What a trace of a real run's system calls proves: which bytes of which file, and which names, were
 * durable when a commit was acknowledged or a record put. The calls are in the order in which they
 * returned (sync-shim.c).
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeGroupHeader, groupBytes, groupKinds } from '../../src/wal/group-format.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../../src/wal/segment-format.ts';

/** Where a commit stands in the log. */
export interface Place {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

interface WrittenRange {
  readonly start: number;
  readonly end: number;
}

/** Files and names as the calls so far have left them on the disk, at the least. */
class Disk {
  readonly #unsynced = new Map<string, WrittenRange[]>();
  readonly #synced = new Map<string, WrittenRange[]>();
  /** Names whose directory was not synced since they came. */
  readonly #newNames = new Set<string>();
  readonly #names = new Set<string>();

  write(path: string, start: number, bytes: number): void {
    this.#list(this.#unsynced, path).push({ start, end: start + bytes });
  }

  sync(path: string): void {
    for (const name of this.#newNames) if (directoryOf(name) === path) this.#newNames.delete(name);
    this.#list(this.#synced, path).push(...this.#list(this.#unsynced, path).splice(0));
  }

  name(from: string, to: string): void {
    this.#synced.set(to, [...this.#list(this.#synced, from)]);
    this.#unsynced.set(to, [...this.#list(this.#unsynced, from)]);
    this.#newNames.add(to);
    this.#names.add(to);
  }

  isSynced(path: string): boolean {
    return this.#list(this.#unsynced, path).length === 0;
  }

  /** The name was given, and its directory was synced since. */
  isNamed(path: string): boolean {
    return this.#names.has(path) && !this.#newNames.has(path);
  }

  holds({ path, start, end }: Place): boolean {
    return this.#list(this.#synced, path).some((range) => range.start <= start && end <= range.end);
  }

  #list(of: Map<string, WrittenRange[]>, path: string): WrittenRange[] {
    let list = of.get(path);
    if (!list) of.set(path, (list = []));
    return list;
  }
}

/** What the calls did, and what of it broke a promise. */
export interface TraceFindings {
  readonly acknowledged: number;
  readonly records: number;
  readonly violations: readonly string[];
}

/** Reads a trace: what was acknowledged, or named, before it was durable is a violation. */
export function readTrace(lines: readonly string[], dir: string): TraceFindings {
  const disk = new Disk();
  const places = placesOf(dir);
  const violations: string[] = [];
  let acknowledged = 0;
  let records = 0;
  for (const line of lines) {
    const [call, ...words] = line.split(' ');
    const [first = '', second = '', third = ''] = words;
    if (call === 'write') disk.write(first, Number(second), Number(third));
    else if (call === 'sync') disk.sync(first);
    else if (call === 'rename' || call === 'link') {
      if (!disk.isSynced(first)) violations.push(`${second} is named before it is synced`);
      if (second.startsWith(`${dir}/checkpoints/`)) {
        records++;
        for (const name of snapshotsOf(second)) {
          const path = `${dir}/${name}`;
          if (!disk.isNamed(path)) violations.push(`${second} is put before ${name} is durable`);
        }
      }
      disk.name(first, second);
    } else if (call === 'say' && first === 'ack') {
      acknowledged++;
      const place = places.get(Number(second));
      if (!place) violations.push(`commit ${second} is nowhere in the log`);
      else if (!disk.isNamed(place.path))
        violations.push(`commit ${second}: its segment has no durable name`);
      else if (!disk.holds(place))
        violations.push(`commit ${second} is acknowledged before its sync`);
    }
  }
  return { acknowledged, records, violations };
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** Names of the snapshots that a record needs. */
function snapshotsOf(record: string): string[] {
  const found = /"chain":\[(.*?)\]/s.exec(readFileSync(record, 'utf8'))?.[1] ?? '';
  return [...found.matchAll(/"name":"([^"]+)"/g)].map((match) => match[1]!);
}

/** The group of every LSN, from the segments as they are at the end; nothing may be collected. */
function placesOf(dir: string): ReadonlyMap<number, Place> {
  const places = new Map<number, Place>();
  for (const name of readdirSync(join(dir, 'wal')).sort()) {
    if (!name.endsWith('.wal')) continue;
    const path = `${dir}/wal/${name}`;
    const bytes = new Uint8Array(readFileSync(path));
    const { salt } = decodeSegmentHeader(bytes.subarray(0, segmentHeaderBytes), path);
    for (let start = segmentHeaderBytes; ;) {
      const group = decodeGroupHeader(bytes, start, salt, start);
      if (typeof group === 'string') break;
      const end = start + groupBytes(group.bodyBytes);
      if (group.kind === groupKinds.frames) {
        for (let i = 0; i < group.recordCount; i++) {
          places.set(group.firstLsn + i, { path, start, end });
        }
      }
      start = end;
    }
  }
  return places;
}
