/*
 * Conflicts of lineages as the caller of a merge sees them: candidates with decoded values go to its
 * function, what it answers goes back as an index or as stored bytes; conflicts are counted, and the
 * first thousand listed.
 *
 * Blobs are judged before everything else, because the references of chunks follow from what is
 * chosen and stand before them in the file. Their decisions are kept and given again.
 */
import { decodeKey, type Key } from '../../codec/key.ts';
import type { ValueDecoder } from '../../codec/value-decoder.ts';
import type { ValueCodec } from '../../codec/value.ts';
import { InvalidArgumentError } from '../../errors.ts';
import {
  builtInPolicies,
  resolveBy,
  type BuiltInPolicy,
  type ConflictReason,
  type KeyConflict,
  type Resolution,
} from '../../snapshot/conflicts.ts';
import { ops, reservedTables } from '../../snapshot/entry-format.ts';
import { must } from '../../std/assert.ts';
import { encodeInt64 } from '../../state/operand-changes.ts';
import type { StateKind, TableDefinition } from '../../state/table-definition.ts';
import { shownVersion, versionOf } from '../../state/value-versions.ts';
import { badOption, knownOnly } from '../../std/option-checks.ts';
import { decodeValue, nameOfTable } from './snapshot-entries.ts';
import { checkExpiry, type Time } from './snapshot-options.ts';

/** What one lineage made of a key. */
export interface ConflictCandidate {
  /** Undefined when it is deleted. A blob is `{ bytes, chunks }`: its length and their digests. */
  readonly value: unknown;
  readonly deleted: boolean;
  /** Of the commit, microseconds. */
  readonly timestamp: number;
  /** Of the lineage's writer, hexadecimal. */
  readonly storeId: string;
  readonly lsn: number;
  /** Microseconds; undefined when the commit gave none. */
  readonly eventTime: number | undefined;
  /** Microseconds; undefined when it never expires. */
  readonly expiresAt: number | undefined;
  /**
   * Index among the lineages as they were given. Operands of one operator are one candidate together:
   * that of the last of them.
   */
  readonly lineage: number;
  /** Version that the value was written with; left out: 1. */
  readonly version?: number;
}

/** A key that lineages disagree about. */
export interface LineageConflict {
  /** `operator.state`; `positions` of sources. */
  readonly table: string;
  readonly operator: string | undefined;
  readonly state: string | undefined;
  readonly kind: StateKind | undefined;
  readonly key: Key;
  /** Of a map. */
  readonly subKey: Key | undefined;
  readonly reason: ConflictReason;
  /** At least two. */
  readonly candidates: readonly ConflictCandidate[];
}

/**
 * Decides a conflict: the index of a candidate, or a value to put instead. Synchronous; what it throws
 * ends the merge.
 */
export type ResolveConflict = (
  conflict: LineageConflict,
) => number | { readonly value: unknown; readonly expiresAt?: Time };

/** How conflicts are decided. */
export type ConflictPolicy = BuiltInPolicy | ResolveConflict;

/** A conflict in the report. */
export interface ListedConflict extends Omit<LineageConflict, 'candidates'> {
  readonly candidates: readonly Omit<ConflictCandidate, 'value'>[];
  /** Index of the candidate that was chosen; undefined where a value was put instead. */
  readonly chosen: number | undefined;
}

/** What was decided. */
export interface ConflictReport {
  readonly count: number;
  /** By table. */
  readonly tables: Readonly<Record<string, number>>;
  /** The first thousand, in the order of the file. */
  readonly listed: readonly ListedConflict[];
}

/** Conflicts that a report lists. */
export const listedMax = 1000;

/** A lineage as candidates name it. */
export interface LineageName {
  /** Among the lineages as they were given. */
  readonly index: number;
  readonly storeId: string;
}

/** What judging needs. */
export interface JudgeInput {
  readonly policy: ConflictPolicy;
  /** In the order of the join. */
  readonly lineages: readonly LineageName[];
  readonly definitions: ReadonlyMap<number, TableDefinition>;
  readonly decoder: ValueDecoder;
  readonly codec: ValueCodec;
}

export function checkPolicy(policy: unknown): ConflictPolicy {
  if (typeof policy === 'function') return policy as ResolveConflict;
  const known = builtInPolicies.find((name) => name === policy);
  if (known) return known;
  throw badOption(
    'conflicts',
    `must be a function or one of ${builtInPolicies.join(', ')}`,
    undefined,
  );
}

export class ConflictJudge {
  readonly #input: JudgeInput;
  readonly #kept: Resolution[] = [];
  readonly #tables = new Map<string, number>();
  readonly #listed: ListedConflict[] = [];
  #count = 0;
  #previewing = false;

  constructor(input: JudgeInput) {
    this.#input = input;
  }

  get report(): ConflictReport {
    const tables = Object.fromEntries(this.#tables);
    return { count: this.#count, tables, listed: this.#listed };
  }

  /** Whether decisions are made ahead, and given again, in the same order, behind that. */
  preview(ahead: boolean): void {
    this.#previewing = ahead;
  }

  resolve(conflict: KeyConflict): Resolution {
    const { policy } = this.#input;
    const definition = this.#definitionOf(conflict);
    const isBlob = definition?.kind === 'blob';
    if (isBlob && !this.#previewing) {
      const resolution = must(this.#kept.shift(), 'a blob was judged ahead');
      this.#note(conflict, resolution);
      return resolution;
    }
    const resolution =
      typeof policy === 'function' ? this.#ask(policy, conflict) : resolveBy(policy)(conflict);
    if (isBlob) this.#kept.push(resolution);
    else this.#note(conflict, resolution);
    return resolution;
  }

  #definitionOf({ candidates }: KeyConflict): TableDefinition | undefined {
    return this.#input.definitions.get(candidates[0]!.entry.table);
  }

  #ask(resolve: ResolveConflict, conflict: KeyConflict): Resolution {
    const described = this.#describe(conflict);
    const answer: unknown = resolve(described);
    const count = described.candidates.length;
    if (typeof answer === 'number' && Number.isInteger(answer) && answer >= 0 && answer < count) {
      return { chosen: answer };
    }
    if (typeof answer === 'object' && answer !== null && 'value' in answer) {
      knownOnly(answer, ['value', 'expiresAt']);
      const expiresAt = 'expiresAt' in answer ? answer.expiresAt : undefined;
      const writtenAt = Math.max(...described.candidates.map(({ timestamp }) => timestamp));
      return {
        value: this.#encode(answer.value, described, this.#definitionOf(conflict)),
        expiry: checkExpiry('expiresAt', expiresAt, writtenAt),
      };
    }
    throw new InvalidArgumentError(
      'INVALID_CALL',
      `conflicts must return the index of one of ${count} candidates, or { value }`,
      placeOf(described),
    );
  }

  /** As the table stores it, in the newest form that it has. */
  #encode(
    value: unknown,
    conflict: LineageConflict,
    definition: TableDefinition | undefined,
  ): Uint8Array {
    const { kind } = conflict;
    const isNumber = typeof value === 'number' || typeof value === 'bigint';
    if (kind === 'counter') {
      const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
      if (whole && BigInt.asIntN(64, BigInt(value as number)) === BigInt(value as number)) {
        return encodeInt64(BigInt(value as number));
      }
    } else if (kind !== 'blob' && (isNumber || (kind !== 'min' && kind !== 'max'))) {
      const version = definition ? versionOf(definition) : 1;
      return this.#input.codec.encode(value, version).slice();
    }
    throw new InvalidArgumentError(
      'INVALID_VALUE',
      `conflicts returned what ${conflict.table}, a ${kind}, cannot hold`,
      placeOf(conflict),
    );
  }

  #note(conflict: KeyConflict, resolution: Resolution): void {
    const definition = this.#definitionOf(conflict);
    const name = tableName(conflict.candidates[0]!.entry.table, definition);
    this.#count++;
    this.#tables.set(name, (this.#tables.get(name) ?? 0) + 1);
    if (this.#listed.length >= listedMax) return;
    const { candidates, ...place } = this.#describe(conflict);
    this.#listed.push({
      ...place,
      candidates: candidates.map(({ value: _value, ...rest }) => rest),
      chosen: 'chosen' in resolution ? resolution.chosen : undefined,
    });
  }

  #describe(conflict: KeyConflict): LineageConflict {
    const { lineages, decoder } = this.#input;
    const definition = this.#definitionOf(conflict);
    const { table, bytes, keyStart, keyEnd, subKeyEnd } = conflict.candidates[0]!.entry;
    return {
      table: tableName(table, definition),
      operator: definition?.operator,
      state: definition?.state,
      kind: definition?.kind,
      key: decodeKey(bytes, keyStart, keyEnd),
      subKey: definition?.kind === 'map' ? decodeKey(bytes, keyEnd, subKeyEnd) : undefined,
      reason: conflict.reason,
      candidates: conflict.candidates.map(({ entry, lineage }) => {
        const { index, storeId } = lineages[lineage]!;
        const { op, timestamp, lsn, eventTime, expiry } = entry;
        const value =
          table === reservedTables.positions && op === ops.put
            ? decoder.decode(entry.bytes, entry.subKeyEnd, entry.valueEnd)
            : decodeValue(entry, definition, decoder);
        return {
          value,
          deleted: op !== ops.put,
          timestamp,
          storeId,
          lsn,
          eventTime: eventTime === 0 ? undefined : eventTime,
          expiresAt: expiry === 0 ? undefined : expiry,
          lineage: index,
          ...shownVersion(definition, entry),
        };
      }),
    };
  }
}

function tableName(table: number, definition: TableDefinition | undefined): string {
  return table === reservedTables.positions ? 'positions' : nameOfTable(table, definition);
}

function placeOf({ table, key, subKey }: LineageConflict): Readonly<Record<string, unknown>> {
  return { table, key, subKey };
}
