/*
 * The history of one key: every version that is still known, oldest first, so that the newest stands
 * at the end, as in a log.
 *
 *   checkpoints below the kept log   → versions that they hold; what was between them is gone
 *   the checkpoint where the log starts to be complete
 *   the log behind it                → a version for each commit that touches the key
 *
 * Expiry is a step of its own at the time at which it takes place (E4). Folding is the merge kernel
 * (key-fold.ts). Memory: what the key holds, and one checkpoint's state at a time.
 */
import type { PinSet } from '../checkpoint/retention/retention-pins.ts';
import { decodeKey, encodeKey, type Key } from '../codec/key.ts';
import { hashBytes } from '../codec/hash.ts';
import type { ValueDecoder } from '../codec/value-decoder.ts';
import { CorruptionError, InvalidArgumentError } from '../errors.ts';
import type { Entry } from '../snapshot/entry.ts';
import { ops, reservedTables } from '../snapshot/entry-format.ts';
import { readU32 } from '../std/bytes.ts';
import { keyIn, subKeyIn } from '../state/keys.ts';
import type { TableDefinition } from '../state/table-definition.ts';
import { shownVersion } from '../state/value-versions.ts';
import { readRecords } from '../wal/log-records.ts';
import { commitEntries, entriesOfKey, timestampOf, type CommitRecord } from './commit-entries.ts';
import type { KeyPlace } from './commit-entries.ts';
import {
  findHistoryStart,
  readIfThere,
  type HistoryKey,
  type HistoryStart,
  type KeyAtCheckpoint,
} from './history-start.ts';
import { KeyFold, sameView } from './key-fold.ts';
import { decodeDefinition, decodeStored, decodeSubKey } from './moment-tables.ts';
import { readLoggedRecords } from './reader-commits.ts';
import type { ReaderSource } from './reader-moment.ts';

/** What a key held from some moment on. */
export interface HistoryVersion {
  /**
   * Of the commit; of an expiry that of the commit that wrote what expired. Where a checkpoint shows
   * only that something has gone, that of the checkpoint.
   */
  readonly lsn: number;
  /** Of that commit, or of the expiry; microseconds. */
  readonly timestamp: number;
  /** `expire`: time did it, in whole, or of a list or map in part. */
  readonly kind: 'insert' | 'update' | 'delete' | 'expire';
  /**
   * What the key held then; undefined for nothing. Of a list its items in order, of a map that was
   * asked for without a sub-key a `Map`, of a blob `{ bytes, chunks }`.
   */
  readonly value: unknown;
  /** Positions of the sources then; undefined where they are not known any more. */
  readonly positions: Readonly<Record<string, unknown>> | undefined;
  /** `checkpoint`: only checkpoints know it, and there may have been others before it. */
  readonly source: 'log' | 'checkpoint';
  /** Above the LSN that is proved to be durable: a crash of the machine can still undo it. */
  readonly unproved: boolean;
  /**
   * Version that the value was written with; left out: 1, and for lists and whole maps. A reader shows
   * the value in it, an engine as its handles read it.
   */
  readonly version?: number;
}

/** What a history is read from. */
export interface HistoryInput {
  readonly source: ReaderSource;
  readonly decoder: ValueDecoder;
  readonly definition: TableDefinition;
  readonly key: Key;
  readonly subKey: Key | undefined;
  /** Of the directory: what is read stays meanwhile. */
  readonly pins: PinSet;
  /** @defaultValue the current one */
  readonly timeline?: number | undefined;
  /** The last commit that counts. */
  readonly throughLsn: number;
  /** Time up to which things expire, microseconds. */
  readonly now: number;
  /** Up to here everything is known to be durable. */
  readonly durableLsn: number;
}

/** Refuses sub-keys of what has none, and what is no key. */
export function checkKeyOf(definition: TableDefinition, key: Key, subKey: Key | undefined): void {
  const { operator, state, kind } = definition;
  keyIn({ definition }, key);
  if (subKey === undefined) return;
  subKeyIn({ definition }, subKey);
  if (kind === 'map') return;
  throw new InvalidArgumentError(
    'INVALID_CALL',
    `${operator}.${state} is a ${kind} and has no sub-keys`,
    { operator, state, kind },
  );
}

/** Every version of a key that is known. */
export async function* readHistory(input: HistoryInput): AsyncGenerator<HistoryVersion> {
  const { source, decoder, definition, throughLsn } = input;
  const key: HistoryKey = { table: definition.id, key: input.key, subKey: input.subKey };
  const unpin = input.pins.add({ lsn: 0, reason: 'a history of this process is being read' });
  let start: HistoryStart | undefined;
  try {
    const { timeline } = input;
    start = await findHistoryStart(source, decoder, { key, throughLsn, timeline });
    const walk = new HistoryWalk(input, start);
    for (const record of start.older) {
      const held = await readIfThere(source, decoder, { record, key });
      if (held) yield* walk.checkpoint(held);
    }
    if (start.start) yield* walk.checkpoint(start.start);
    if (start.log) walk.everythingKnown();
    if (start.log) {
      for await (const record of recordsBehind(source, start, throughLsn)) {
        yield* walk.commit(record);
      }
    }
    yield* walk.expire(input.now);
  } finally {
    unpin();
    await start?.files.close();
  }
}

/** Commits behind the start, through an LSN. */
async function* recordsBehind(
  source: ReaderSource,
  { moment, log, start, files }: HistoryStart,
  throughLsn: number,
): AsyncGenerator<CommitRecord> {
  const last = Math.min(throughLsn, moment.lsn);
  let next = (start?.record.lsn ?? 0) + 1;
  if (next > last || !log) return;
  try {
    const first = log.ranges.findLastIndex((range) => range.firstLsn <= next);
    for await (const record of readRecords(files, log.ranges.slice(Math.max(0, first)), next)) {
      if (record.lsn > last) return;
      yield record;
      next = record.lsn + 1;
    }
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    // An opening may have moved what was not proved; if it is damage, this says so (F2).
    for await (const record of readLoggedRecords(source, { ...moment, lsn: last }, next)) {
      yield record;
    }
  }
}

/** The state of a walk: the key, the positions, and how much of a list is kept. */
class HistoryWalk {
  readonly #in: HistoryInput;
  readonly #durableLsn: number;
  readonly #place: KeyPlace;
  readonly #fold: KeyFold;
  readonly #positions = new Map<string, unknown>();
  #source: HistoryVersion['source'] = 'checkpoint';
  #positionsKnown = false;

  constructor(input: HistoryInput, { moment }: HistoryStart) {
    this.#in = input;
    this.#durableLsn = Math.max(moment.provedLsn, input.durableLsn);
    const { seed: bytes, keyGroups } = moment.identity;
    const seed = { low: readU32(bytes, 0), high: readU32(bytes, 4) };
    const key = encodeKey(input.key);
    const { id } = input.definition;
    const groupBits = Math.log2(keyGroups);
    this.#place = {
      table: id,
      hash: hashBytes(key, 0, key.length, seed),
      key,
      subKey: input.subKey === undefined ? undefined : encodeKey(input.subKey),
      groupBits,
    };
    this.#fold = new KeyFold(input.definition, groupBits);
  }

  /** From here on no commit is missing, and the positions are those of each. */
  everythingKnown(): void {
    this.#source = 'log';
    this.#positionsKnown = true;
  }

  /** What a checkpoint holds, against what was held before it. */
  *checkpoint({ record, entries, positions }: KeyAtCheckpoint): Generator<HistoryVersion> {
    const { lsn, timestamp, tables } = record;
    yield* this.expire(timestamp);
    const before = this.#fold.view(timestamp);
    this.#fold.table = tables.find(({ id }) => id === this.#place.table) ?? this.#fold.table;
    this.#fold.set(entries);
    const after = this.#fold.view(timestamp);
    this.#positions.clear();
    for (const [source, position] of Object.entries(positions)) {
      this.#positions.set(source, position);
    }
    if (sameView(before, after)) return;
    const newest = newestOf(after);
    const newer = newest && newest.lsn > (newestOf(before)?.lsn ?? 0) ? newest : undefined;
    this.#positionsKnown = (newer?.lsn ?? lsn) === lsn;
    yield this.#version(newer ?? { lsn, timestamp }, before, after);
    this.#positionsKnown = false;
  }

  /** A commit of the log. */
  *commit(record: CommitRecord): Generator<HistoryVersion> {
    const { lsn } = record;
    const timestamp = timestampOf(record);
    const place = this.#place;
    const changes = entriesOfKey(record, this.#withReserved(record), { place, timestamp });
    if (changes.length === 0) return;
    yield* this.expire(timestamp);
    const before = this.#fold.view(timestamp);
    this.#fold.apply(changes, timestamp);
    const after = this.#fold.view(timestamp);
    if (!sameView(before, after)) yield this.#version({ lsn, timestamp }, before, after);
  }

  /** What expires through a time. */
  *expire(through: number): Generator<HistoryVersion> {
    for (;;) {
      const time = this.#fold.nextExpiry(through);
      if (time === undefined) return;
      const before = this.#fold.view(time - 1);
      this.#fold.expire(time);
      const after = this.#fold.view(time);
      if (sameView(before, after)) continue;
      const gone = newestOf(before.filter(({ expiry }) => expiry === time))!;
      const at = { lsn: gone.lsn, timestamp: time };
      yield { ...this.#version(at, before, after), kind: 'expire' };
    }
  }

  /** The changes of a commit; positions and definitions among them are taken on the way. */
  *#withReserved(record: CommitRecord): ReturnType<typeof commitEntries> {
    const { bytes, lsn } = record;
    const { decoder } = this.#in;
    for (const change of commitEntries(record)) {
      const { table, keyStart, keyEnd, subKeyEnd, end } = change;
      if (table === reservedTables.positions) {
        const source = String(decodeKey(bytes, keyStart, keyEnd));
        if (change.op === ops.delete) this.#positions.delete(source);
        else this.#positions.set(source, decoder.decode(bytes, subKeyEnd, end));
      } else if (table === reservedTables.catalog) {
        const definition = decodeDefinition({ bytes, start: subKeyEnd, end, lsn }, decoder);
        if (definition.id === this.#place.table) this.#fold.table = definition;
      }
      yield change;
    }
  }

  #version(
    { lsn, timestamp }: { readonly lsn: number; readonly timestamp: number },
    before: readonly Entry[],
    after: readonly Entry[],
  ): HistoryVersion {
    const kind = after.length === 0 ? 'delete' : before.length === 0 ? 'insert' : 'update';
    const known = [...this.#positions].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      lsn,
      timestamp,
      kind,
      value: this.#value(after),
      positions: this.#positionsKnown ? Object.freeze(Object.fromEntries(known)) : undefined,
      source: this.#source,
      unproved: lsn > this.#durableLsn,
      ...this.#shownVersion(after),
    };
  }

  #shownVersion(entries: readonly Entry[]): { readonly version?: number } {
    const { definition, subKey } = this.#in;
    const { kind } = definition;
    const [only] = entries;
    if (!only || kind === 'list' || (kind === 'map' && subKey === undefined)) return {};
    return shownVersion(definition, only);
  }

  #value(entries: readonly Entry[]): unknown {
    const { definition, decoder, subKey } = this.#in;
    const [only] = entries;
    if (!only) return undefined;
    const decoded = (entry: Entry): unknown => decodeStored(definition, entry, decoder);
    if (definition.kind === 'list') return entries.map(decoded);
    if (definition.kind !== 'map' || subKey !== undefined) return decoded(only);
    return new Map(entries.map((entry) => [decodeSubKey(definition, entry), decoded(entry)]));
  }
}

function newestOf(entries: readonly Entry[]): Entry | undefined {
  return entries.reduce<Entry | undefined>(
    (best, entry) => (best && best.lsn >= entry.lsn ? best : entry),
    undefined,
  );
}
