/*
 * Joins lineages, each folded to one run by the kernel, over the base that they start from: one run
 * of what is left, which the kernel then makes a base of. For each key, the effects of the lineages:
 *
 *   one lineage            its entry is folded over the base's, as in a chain
 *   operands of one        combined in the order of writes, and folded over the base's: no conflict,
 *   operator only          unless a sum leaves int64
 *   the same result        no conflict
 *   anything else          a conflict of candidates: what each lineage made of the key. Operands of
 *                          one operator are one candidate together
 *
 * A clear is, for each key that it covers, a delete at the time of the clear: where another lineage
 * wrote the key, it is a candidate like any other.
 * Invariants: J1 inputs stand side by side in one range of hashes, groups' clears first (E5). J2 an
 * entry that is given out lies in memory that does not change.
 */
import { storedVersion } from '../codec/value-version.ts';
import {
  compareWrites,
  sameResult,
  type Candidate,
  type ConflictReason,
  type Resolve,
} from './conflicts.ts';
import { compareEntries, compareKeys, Entry, keyGroupOf } from './entry.ts';
import { entryFlags, operatorIds, ops } from './entry-format.ts';
import { foldNewer, startFromIdentity } from './fold.ts';
import { FoldScratch, sumOverflows } from './operators.ts';
import { RunCursor } from './run-cursor.ts';

/** What one lineage did to a key. */
export interface Effect extends Candidate {
  /** There is no entry of its own: a clear of the lineage covers the key. */
  readonly byClear: boolean;
}

/** A key that was joined; everything in it is borrowed. */
export interface JoinedKey {
  readonly base: Entry | undefined;
  readonly effects: readonly Effect[];
  /** A put, a delete or an operand; undefined where nobody left anything. */
  readonly result: Entry | undefined;
}

/** What a join needs. */
export interface JoinOptions {
  readonly base: RunCursor;
  /** In ascending order of store id. */
  readonly lineages: readonly RunCursor[];
  readonly groupBits: number;
  readonly resolve: Resolve;
  /** Told of every key that a lineage touched. */
  readonly observe?: (joined: JoinedKey) => void;
}

export class LineageJoin extends RunCursor {
  readonly #base: Head;
  readonly #lineages: readonly Head[];
  readonly #options: JoinOptions;

  constructor(options: JoinOptions) {
    super();
    this.#options = options;
    this.#base = new Head(options.base);
    this.#lineages = options.lineages.map((cursor) => new Head(cursor));
  }

  next(): boolean {
    for (;;) {
      const least = this.#findLeast();
      if (!least) return false;
      if (least.op >= ops.clearKey) {
        this.#takeClears(least);
        continue;
      }
      const joined = this.#joinKey(least);
      const { result } = joined;
      if (joined.effects.length > 0) this.#options.observe?.(joined);
      const left = result !== undefined && result.op !== ops.delete;
      if (left) {
        this.assign(result);
        // What was computed lies in memory that the next key uses (J2).
        if (result.operator !== operatorIds.none) own(this);
      }
      // What the result was read from moves on here.
      this.#leave();
      if (left) return true;
    }
  }

  #findLeast(): Entry | undefined {
    let least = this.#base.entry;
    for (const { entry } of this.#lineages) {
      if (entry && (!least || compareEntries(entry, least) < 0)) least = entry;
    }
    return least;
  }

  #takeClears(least: Entry): void {
    for (const head of [this.#base, ...this.#lineages]) {
      // Advanced behind `least` only in the end: it may be this head's own entry.
      if (head.entry && compareEntries(head.entry, least) === 0) head.taken = true;
    }
    for (const head of this.#lineages) if (head.taken) head.rememberClear();
    this.#leave();
  }

  /** Moves the heads whose entries were taken. */
  #leave(): void {
    this.#base.leave();
    for (const head of this.#lineages) head.leave();
  }

  #joinKey(least: Entry): JoinedKey {
    const base = this.#base.take(least);
    let effects: Effect[] | undefined;
    for (let lineage = 0; lineage < this.#lineages.length; lineage++) {
      const head = this.#lineages[lineage]!;
      const own = head.take(least);
      const entry = own ?? head.clearOf(least, this.#options.groupBits);
      if (entry) (effects ??= []).push({ entry, lineage, byClear: !own });
    }
    // Most keys of a base are touched by nobody.
    if (!effects) return { base, effects: NO_EFFECTS, result: base };
    return { base, effects, result: this.#resultOf(base, effects) };
  }

  #resultOf(base: Entry | undefined, effects: readonly Effect[]): Entry {
    if (effects.length === 1) return over(base, effects[0]!.entry);
    const { candidates, overflow } = combineOperands(effects);
    if (candidates.length === 1 && !overflow) {
      const { entry } = candidates[0]!;
      if (!overflows(base, entry)) return over(base, entry);
      return this.#decide(resultsOver(base, effects), 'overflow', true);
    }
    const results = resultsOver(base, overflow ? effects : candidates);
    return this.#decide(results, reasonOf(effects, overflow), overflow);
  }

  #decide(candidates: readonly Candidate[], reason: ConflictReason, overflow: boolean): Entry {
    const first = candidates[0]!;
    if (!overflow && candidates.every(({ entry }) => sameResult(entry, first.entry))) {
      return latest(candidates).entry;
    }
    const resolution = this.#options.resolve({ reason, candidates });
    if ('chosen' in resolution) return candidates[resolution.chosen]!.entry;
    return putOf(latest(candidates).entry, resolution);
  }
}

const NO_EFFECTS: readonly Effect[] = [];

/** One input: the entry that it stands on, and the clears that it has passed. */
class Head {
  readonly #cursor: RunCursor;
  readonly #tableClear = new Entry();
  readonly #keyClear = new Entry();
  readonly #asDelete = new Entry();
  entry: Entry | undefined;
  /** The entry belongs to the key at hand. */
  taken = false;

  constructor(cursor: RunCursor) {
    this.#cursor = cursor;
    this.#move();
  }

  take(least: Entry): Entry | undefined {
    this.taken = this.entry !== undefined && compareEntries(this.entry, least) === 0;
    return this.taken ? this.entry : undefined;
  }

  leave(): void {
    if (this.taken) this.#move();
    this.taken = false;
  }

  rememberClear(): void {
    const clear = this.entry!;
    const kept = clear.op === ops.clearTable ? this.#tableClear : this.#keyClear;
    kept.assign(clear);
    own(kept);
  }

  /** The newer of the clears that cover a key, as a delete of it. */
  clearOf(key: Entry, groupBits: number): Entry | undefined {
    const ofTable = this.#tableClear;
    const ofKey = this.#keyClear;
    const table =
      ofTable.lsn > 0 &&
      ofTable.table === key.table &&
      keyGroupOf(ofTable.hash, groupBits) === keyGroupOf(key.hash, groupBits);
    const owns = ofKey.lsn > 0 && compareKeys(ofKey, key) === 0;
    if (!table && !owns) return undefined;
    const clear = table && !(owns && ofKey.lsn > ofTable.lsn) ? ofTable : ofKey;
    const found = this.#asDelete;
    found.assign(key);
    found.op = ops.delete;
    found.operator = operatorIds.none;
    found.flags = key.flags & entryFlags.subKey;
    found.lsn = clear.lsn;
    found.timestamp = clear.timestamp;
    found.eventTime = clear.eventTime;
    found.expiry = 0;
    found.firstTimestamp = 0;
    found.valueEnd = found.subKeyEnd;
    return found;
  }

  #move(): void {
    this.entry = this.#cursor.next() ? this.#cursor : undefined;
  }
}

/** A newer entry over what the base holds, in memory of its own where it is computed. */
function over(base: Entry | undefined, newer: Entry): Entry {
  const result = new Entry();
  if (!base || newer.op !== ops.merge) {
    result.assign(newer);
    return result;
  }
  result.assign(base);
  foldNewer(result, newer, new FoldScratch());
  return result;
}

/** What each candidate makes of the key. */
function resultsOver(base: Entry | undefined, candidates: readonly Candidate[]): Candidate[] {
  return candidates.map(({ entry, lineage }) => {
    const result = over(base, entry);
    // An operand on nothing is the value that it gives.
    if (result.op === ops.merge) startFromIdentity(result);
    return { entry: result, lineage };
  });
}

/**
 * Operands of one operator become one candidate, unless their sum leaves int64. Patches of different
 * versions of a value do not combine.
 */
function combineOperands(effects: readonly Effect[]): {
  candidates: Candidate[];
  overflow: boolean;
} {
  const candidates: Candidate[] = [];
  const byOperator = new Map<number, Effect[]>();
  for (const effect of effects) {
    if (effect.entry.op !== ops.merge) {
      candidates.push(effect);
      continue;
    }
    const kind = kindOfOperand(effect.entry);
    const same = byOperator.get(kind);
    if (same) same.push(effect);
    else byOperator.set(kind, [effect]);
  }
  for (const same of byOperator.values()) {
    same.sort(compareWrites);
    const combined = new Entry();
    combined.assign(same[0]!.entry);
    const scratch = new FoldScratch();
    for (const { entry } of same.slice(1)) {
      if (overflows(combined, entry)) return { candidates: [], overflow: true };
      foldNewer(combined, entry, scratch);
    }
    candidates.push({ entry: combined, lineage: same.at(-1)!.lineage });
  }
  return { candidates, overflow: false };
}

/** Equal for operands that combine. */
function kindOfOperand({ operator, bytes, subKeyEnd, valueEnd }: Entry): number {
  if (operator !== operatorIds.patch) return operator;
  return operator + 0x100 * storedVersion(bytes, subKeyEnd, valueEnd);
}

/** Whether folding a sum over an entry leaves int64. */
function overflows(older: Entry | undefined, newer: Entry): boolean {
  if (!older || newer.op !== ops.merge || newer.operator !== operatorIds.add) return false;
  if (older.op !== ops.put && older.op !== ops.merge) return false;
  const first = newer.firstTimestamp === 0 ? newer.timestamp : newer.firstTimestamp;
  if (older.expiry !== 0 && older.expiry <= first) return false;
  return sumOverflows(older, newer);
}

function reasonOf(effects: readonly Effect[], overflow: boolean): ConflictReason {
  if (overflow) return 'overflow';
  if (effects.some(({ entry }) => entry.op === ops.merge)) return 'operand';
  return effects.some(({ byClear }) => byClear) ? 'clear' : 'write';
}

function latest(candidates: readonly Candidate[]): Candidate {
  return candidates.reduce((best, one) => (compareWrites(one, best) > 0 ? one : best));
}

/** A put of a stored value in place of an entry. */
function putOf(
  entry: Entry,
  { value, expiry }: { readonly value: Uint8Array; readonly expiry: number },
): Entry {
  const put = new Entry();
  put.assign(entry);
  const keyBytes = entry.subKeyEnd - entry.keyStart;
  put.bytes = new Uint8Array(keyBytes + value.length);
  put.bytes.set(entry.bytes.subarray(entry.keyStart, entry.subKeyEnd), 0);
  put.bytes.set(value, keyBytes);
  put.keyEnd = entry.keyEnd - entry.keyStart;
  put.keyStart = 0;
  put.subKeyEnd = keyBytes;
  put.valueEnd = put.bytes.length;
  put.op = ops.put;
  put.operator = operatorIds.none;
  put.expiry = expiry;
  put.firstTimestamp = 0;
  return put;
}

/** Copies the bytes of an entry. */
function own(entry: Entry): void {
  const start = entry.keyStart;
  entry.bytes = entry.bytes.slice(start, entry.valueEnd);
  entry.keyEnd -= start;
  entry.subKeyEnd -= start;
  entry.valueEnd -= start;
  entry.keyStart = 0;
}
