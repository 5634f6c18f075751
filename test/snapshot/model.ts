/*
 * The meaning of a log, written as plainly as it can be: a map that commits are applied to one by
 * one. Shares no code with the kernel; the laws compare the two.
 */
import { createValueCodec } from '../../src/codec/value.ts';
import { operatorIds, ops } from '../../src/snapshot/entry-format.ts';
import { toBytes, type Change, type Commit } from './log-builder.ts';

/** A live entry, as text, so that two views compare by value. */
export interface LiveEntry {
  readonly table: number;
  readonly key: string;
  readonly subKey: string | undefined;
  readonly lsn: number;
  readonly timestamp: number;
  readonly expiry: number;
  readonly eventTime: number;
  readonly operator: number;
  readonly value: string;
}

export const hex = (bytes: Uint8Array | string): string =>
  Buffer.from(toBytes(bytes)).toString('hex');

const count = (value: string): bigint => Buffer.from(value, 'hex').readBigInt64LE(0);

const codec = createValueCodec();

export const encodeValue = (value: unknown): Uint8Array => codec.encode(value).slice();

export function decodeValue(bytes: Uint8Array): unknown {
  return codec.decode(bytes, 0, bytes.length);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** An object with the same fields, in the order that patches keep; JS itself puts indices first. */
export function inOrder(object: Record<string, unknown>): Record<string, unknown> {
  const names = Object.keys(object).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const ordered: Record<string, unknown> = {};
  for (const name of names) {
    const value = object[name];
    Object.defineProperty(ordered, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return ordered;
}

/** RFC 7386, as it stands there, on plain objects. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const fields = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) fields.delete(name);
    else fields.set(name, mergePatch(fields.get(name), value));
  }
  // Not assigned: a field may be called `__proto__`.
  return inOrder(Object.fromEntries(fields));
}

/** What an operator makes of a value, or of nothing, and an operand; all in hexadecimal. */
function combine(operator: number, older: string | undefined, newer: string): string {
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex');
  if (operator === operatorIds.patch) {
    const before = older === undefined ? undefined : decodeValue(bytes(older));
    return hex(encodeValue(mergePatch(before, decodeValue(bytes(newer)))));
  }
  if (older === undefined) return newer;
  if (operator === operatorIds.min || operator === operatorIds.max) {
    const before = decodeValue(bytes(older)) as number;
    const after = decodeValue(bytes(newer)) as number;
    return (operator === operatorIds.min ? after < before : after > before) ? newer : older;
  }
  const sum = Buffer.alloc(8);
  sum.writeBigInt64LE(BigInt.asIntN(64, count(older) + count(newer)), 0);
  const content = newer.length > 16 ? newer : older;
  return sum.toString('hex') + content.slice(16);
}

const nameOf = (change: Change): string =>
  `${change.table} ${hex(change.key)} ${change.subKey === undefined ? '' : `+${hex(change.subKey)}`}`;

/** Replays commits; LSNs count from 1. */
export class Model {
  readonly #state = new Map<string, LiveEntry>();
  #lsn = 0;

  /** The value of a chunk's or counter's key, 0 if there is none. */
  count(change: Change): bigint {
    const found = this.#state.get(nameOf(change));
    return found ? count(found.value) : 0n;
  }

  apply(commit: Commit): void {
    this.#lsn++;
    for (const change of commit.changes) this.#applyChange(change, commit.timestamp);
  }

  #applyChange(change: Change, timestamp: number): void {
    const { table, op } = change;
    const key = hex(change.key);
    if (op === ops.clearTable || op === ops.clearKey) {
      for (const [name, entry] of this.#state) {
        const covered = entry.table === table && (op === ops.clearTable || entry.key === key);
        if (covered && entry.lsn < this.#lsn) this.#state.delete(name);
      }
      return;
    }
    const name = nameOf(change);
    if (op === ops.delete) {
      this.#state.delete(name);
      return;
    }
    const before = this.#state.get(name);
    const alive = before && (before.expiry === 0 || before.expiry > timestamp);
    let value = hex(change.value ?? '');
    if (op === ops.merge)
      value = combine(change.operator!, alive ? before.value : undefined, value);
    this.#state.set(name, {
      table,
      key,
      subKey: change.subKey === undefined ? undefined : hex(change.subKey),
      lsn: this.#lsn,
      timestamp,
      expiry: change.expiry ?? 0,
      eventTime: change.eventTime ?? 0,
      operator: op === ops.merge ? (change.operator ?? 0) : 0,
      value,
    });
  }

  /** What is live at a time, sorted; lists keep their newest items. */
  view(time: number, itemsMax: ReadonlyMap<number, number>): string[] {
    const live = [...this.#state.values()].filter(
      (entry) =>
        (entry.expiry === 0 || entry.expiry > time) &&
        (entry.operator !== operatorIds.chunk || count(entry.value) > 0n),
    );
    const kept = live.filter((entry) => {
      const limit = itemsMax.get(entry.table);
      if (limit === undefined) return true;
      const newer = live.filter(
        (other) =>
          other.table === entry.table && other.key === entry.key && other.subKey! > entry.subKey!,
      );
      return newer.length < limit;
    });
    return kept.map(describe).sort();
  }
}

export function describe(entry: LiveEntry): string {
  const { table, key, subKey, lsn, timestamp, expiry, eventTime, operator, value } = entry;
  return [table, key, subKey ?? '-', lsn, timestamp, expiry, eventTime, operator, value].join(' ');
}
