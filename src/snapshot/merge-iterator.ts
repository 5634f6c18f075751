/*
 * The merge kernel: folds sorted runs, oldest first, into one sorted run with one entry a key. Log
 * to delta, compaction, tail image and iteration are all this iterator (DESIGN.md, 1). It is itself
 * a run, so merges nest.
 *
 * Laws (test/snapshot/laws.test.ts): merge(chain) = replay(log); any legal order of merging adjacent
 * runs gives the same state; slicing by key group and joining is the identity.
 * Invariants:
 *   M1 inputs hold adjacent LSN ranges of one ancestry, in order, so a later input is newer;
 *   M2 a clear at LSN c kills entries below c only: in one commit it is the older (E5);
 *   M3 memory: one entry, or what one key of a bounded list keeps; never a run.
 * Pure: bytes in, bytes out; no clock, no I/O, no code of the user.
 */
import { Entry, compareEntries, compareKeys, keyGroupOf, ranks, rankOf } from './entry.ts';
import { ops } from './entry-format.ts';
import { foldNewer, settleInBase, settleInDelta, startFromIdentity } from './fold.ts';
import { ListBuffer } from './list-trim.ts';
import { FoldScratch } from './operators.ts';
import { RunCursor, type TableRules } from './run-cursor.ts';
import { SliceCursor, type PlainEntries } from './slice-cursor.ts';
import type { Slice } from './slice.ts';
import type { OlderChain } from './unchanged.ts';

/** What a merge makes of its inputs. */
export interface MergeOptions {
  /** Live puts only, because nothing older exists; otherwise a delta. */
  readonly base: boolean;
  /**
   * With `base`, for a reader at `lastTimestamp`: of a bounded list the newest items only. A base
   * keeps more, because newer items may expire before older ones. @defaultValue false
   */
  readonly view?: boolean;
  /** Timestamp of the last LSN of the inputs, or time of the view; expiry is judged by it. */
  readonly lastTimestamp: number;
  readonly rules: TableRules;
  /** Of a delta: the chain below it, so that what changes nothing there is left out. */
  readonly older?: OlderChain;
  /** Bits of the hash that name the key group, 0 to 16. */
  readonly groupBits: number;
}

/** Entries of one slice that belong into the output byte for byte. */
export interface PlainRun {
  slice: Slice;
  from: number;
  /** Exclusive. */
  to: number;
}

/** One folded run from sorted runs; `inputs` are oldest first and stand before their first entry. */
export class MergeIterator extends RunCursor {
  readonly #inputs: RunCursor[] = [];
  readonly #base: boolean;
  readonly #lastTimestamp: number;
  readonly #plain: PlainEntries;
  readonly #older: OlderChain | undefined;
  readonly #groupBits: number;
  readonly #itemsMax: ReadonlyMap<number, number>;
  readonly #scratch = new FoldScratch();
  readonly #list: ListBuffer;
  readonly #keyClear = new Entry();
  readonly #tableClear = new Entry();
  #listing = false;
  /** Another run reads this one: it keeps an entry while it moves this run on. */
  #isRead = false;
  #least = -1;
  /** The last input that stands on the same entry as the least. */
  #lastEqual = -1;
  /** Where the first of the other inputs stands. */
  #otherTable = 0;
  #otherHash = 0;

  constructor(inputs: readonly RunCursor[], options: MergeOptions) {
    super();
    this.#base = options.base;
    this.#lastTimestamp = options.lastTimestamp;
    this.#plain = { base: options.base, lastTimestamp: options.lastTimestamp };
    this.#groupBits = options.groupBits;
    this.#older = options.older;
    this.#list = new ListBuffer(options.view === true);
    this.#itemsMax = new Map(options.rules.map((rule) => [rule.table, rule.itemsMax]));
    for (const input of inputs) {
      input.becomeInput();
      if (input.next()) this.#inputs.push(input);
    }
    this.#findLeast();
  }

  next(): boolean {
    return this.step(Number.POSITIVE_INFINITY) === 'entry';
  }

  override becomeInput(): void {
    this.#isRead = true;
  }

  /**
   * As `next`, but gives up after so many keys of which nothing was left: a cleared table must not
   * hold a thread for as long as it was large.
   */
  step(foldsMax: number): 'entry' | 'end' | 'pause' {
    if (this.#listing) {
      const item = this.#list.take();
      if (item) {
        this.assign(item);
        return 'entry';
      }
      this.#listing = false;
    }
    for (let folds = 0; this.#least >= 0; folds++) {
      if (folds >= foldsMax) return 'pause';
      if (!this.#foldOne() || !this.#settle()) continue;
      if (this.#isRead) this.#keepComputed();
      if (this.#itemsMax.size === 0) return 'entry';
      const itemsMax = this.#itemsMax.get(this.table);
      if (itemsMax === undefined || this.op === ops.clearTable) return 'entry';
      if (this.#collectList(itemsMax)) return 'entry';
    }
    return 'end';
  }

  /**
   * Entries of one input that come next and meet nothing of the others, no clear and no rule: they
   * may be taken as they are. Undefined where the next entry needs `step`.
   */
  plainRun(): PlainRun | undefined {
    const least = this.#least;
    if (least < 0 || this.#listing || this.#lastEqual !== least) return undefined;
    if (this.#older !== undefined) return undefined;
    const input = this.#inputs[least]!;
    if (!(input instanceof SliceCursor) || this.#itemsMax.has(input.table)) return undefined;
    if (this.#mayBeCleared(input)) return undefined;
    const from = input.index;
    const to = input.runEnd(this.#otherTable, this.#otherHash, this.#plain);
    return to > from ? { slice: input.slice, from, to } : undefined;
  }

  /** Moves on by so many entries of the plain run that was given last. */
  take(count: number): void {
    const inputs = this.#inputs;
    const input = inputs[this.#least] as SliceCursor;
    if (!input.skip(count)) inputs.splice(this.#least, 1);
    this.#findLeast();
  }

  #mayBeCleared({ table, hash }: RunCursor): boolean {
    const tableClear = this.#tableClear;
    const keyClear = this.#keyClear;
    if (keyClear.lsn > 0 && keyClear.hash === hash && keyClear.table === table) return true;
    if (tableClear.lsn === 0 || tableClear.table !== table) return false;
    const bits = this.#groupBits;
    return keyGroupOf(tableClear.hash, bits) === keyGroupOf(hash, bits);
  }

  /** Folds all entries that equal the least; false when clears kill them all. */
  #foldOne(): boolean {
    const inputs = this.#inputs;
    const lastEqual = this.#lastEqual;
    let at = this.#least;
    const first = inputs[at]!;
    first.load();
    this.assign(first);
    const killedBelow = this.#killedBelow();
    let found = first.lsn >= killedBelow;
    if (found && killedBelow > 0 && this.op === ops.merge) startFromIdentity(this);
    let ended = false;
    let live = first.next();
    for (;;) {
      const input = inputs[at]!;
      while (live && compareEntries(input, this) === 0) {
        if (input.lsn >= killedBelow) {
          if (found) {
            foldNewer(this, input, this.#scratch);
          } else {
            this.assign(input);
            if (this.op === ops.merge) startFromIdentity(this);
            found = true;
          }
        }
        live = input.next();
      }
      ended ||= !live;
      if (!live) inputs[at] = ENDED;
      at++;
      if (at > lastEqual) break;
      live = true;
    }
    if (ended) this.#dropEnded();
    this.#findLeast();
    if (found && this.op >= ops.clearKey) this.#remember();
    return found;
  }

  #settle(): boolean {
    if (this.#base) return settleInBase(this, this.#lastTimestamp);
    settleInDelta(this, this.#lastTimestamp);
    if (this.#older === undefined || this.#itemsMax.has(this.table)) return true;
    return !this.#older.holds(this, this.#killedBelow() > 0);
  }

  /** The LSN below which a clear has killed what this iterator stands on. */
  #killedBelow(): number {
    const tableClear = this.#tableClear;
    const keyClear = this.#keyClear;
    let lsn = 0;
    if (tableClear.table === this.table && tableClear.lsn > 0) {
      const bits = this.#groupBits;
      if (keyGroupOf(tableClear.hash, bits) === keyGroupOf(this.hash, bits)) lsn = tableClear.lsn;
    }
    if (keyClear.lsn > lsn && rankOf(this) !== ranks.clear && compareKeys(keyClear, this) === 0) {
      lsn = keyClear.lsn;
    }
    return lsn;
  }

  #remember(): void {
    (this.op === ops.clearTable ? this.#tableClear : this.#keyClear).assign(this);
  }

  /** Buffers what is left of this key, trims it and stands on the first entry; false when empty. */
  #collectList(itemsMax: number): boolean {
    const list = this.#list;
    list.reset(itemsMax);
    this.#pushItem(itemsMax);
    while (this.#least >= 0 && this.#goesOn()) {
      if (this.#foldOne() && this.#settle()) this.#pushItem(itemsMax);
    }
    list.trim(itemsMax);
    const item = list.take();
    if (!item) return false;
    this.assign(item);
    this.#listing = true;
    return true;
  }

  /** Whether the next entry has the key of this one. */
  #goesOn(): boolean {
    const input = this.#inputs[this.#least]!;
    input.load();
    return compareKeys(input, this) === 0;
  }

  #pushItem(itemsMax: number): void {
    this.#keepComputed();
    this.#list.push(this, itemsMax);
  }

  /** A computed value lies in memory that the next fold uses again. */
  #keepComputed(): void {
    if (this.bytes === this.#scratch.bytes) this.bytes = this.bytes.slice(0, this.valueEnd);
  }

  #dropEnded(): void {
    const inputs = this.#inputs;
    for (let i = inputs.length - 1; i >= 0; i--) if (inputs[i] === ENDED) inputs.splice(i, 1);
  }

  #findLeast(): void {
    const inputs = this.#inputs;
    const { length } = inputs;
    this.#otherTable = Number.POSITIVE_INFINITY;
    this.#otherHash = 0;
    if (length === 0) {
      this.#least = -1;
      return;
    }
    let least = 0;
    let lastEqual = 0;
    let first = inputs[0]!;
    for (let i = 1; i < length; i++) {
      const input = inputs[i]!;
      const order = compareInputs(input, first);
      if (order < 0) {
        this.#otherTable = first.table;
        this.#otherHash = first.hash;
        least = i;
        lastEqual = i;
        first = input;
        continue;
      }
      if (order === 0) lastEqual = i;
      this.#noteOther(input);
    }
    this.#least = least;
    this.#lastEqual = lastEqual;
  }

  #noteOther({ table, hash }: RunCursor): void {
    const otherTable = this.#otherTable;
    if (table > otherTable || (table === otherTable && hash >= this.#otherHash)) return;
    this.#otherTable = table;
    this.#otherHash = hash;
  }
}

/** Orders inputs by the entries that they stand on; most differ in the hash. */
function compareInputs(a: RunCursor, b: RunCursor): number {
  if (a.table !== b.table) return a.table - b.table;
  if (a.hash !== b.hash) return a.hash - b.hash;
  a.load();
  b.load();
  return compareEntries(a, b);
}

/** Stands in an input's place until the place is removed. */
class EndedCursor extends RunCursor {
  next(): boolean {
    return false;
  }
}

const ENDED: RunCursor = new EndedCursor();
