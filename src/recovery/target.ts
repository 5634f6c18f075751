/*
 * Moments of a store as people name them, in code and on the command line. What a target means in a
 * given store is worked out in restore-plan.ts.
 */
import { InvalidArgumentError } from '../errors.ts';
import { checkName } from '../state/operator.ts';
import { badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';

/** Options that every target but 'latest' can have. */
interface TargetOptions {
  /** The named commit counts too; false: up to the one before it. @defaultValue true */
  readonly inclusive?: boolean;
  /**
   * Of which timeline: after a restore in place the future that was given up is another one than the
   * present, and has LSNs and times of its own. @defaultValue the current one
   */
  readonly timeline?: number;
}

/** A moment to restore, or to look at. */
export type Target =
  | 'latest'
  | ({ readonly lsn: number } & TargetOptions)
  /** Everything committed up to then: a Date, or microseconds since 1970. */
  | ({ readonly timestamp: Date | number } & TargetOptions)
  /** The commit that a checkpoint ends at. */
  | ({ readonly checkpoint: number } & TargetOptions)
  | ({ readonly savepoint: string } & TargetOptions)
  /** The last commit of that timeline. */
  | { readonly timeline: number };

/** A target whose form has been checked. */
export interface CheckedTarget {
  readonly kind: 'latest' | 'lsn' | 'timestamp' | 'checkpoint' | 'savepoint';
  /** LSN, microseconds or id; 0 for the others. */
  readonly number: number;
  /** Of a savepoint; else empty. */
  readonly name: string;
  readonly inclusive: boolean;
  /** Undefined: the current one. */
  readonly timeline?: number;
}

/** The last commit. */
export const latest: CheckedTarget = { kind: 'latest', number: 0, name: '', inclusive: true };

const kinds = ['lsn', 'timestamp', 'checkpoint', 'savepoint'] as const;

/** Checks the form of a target; `option` is how errors name it. */
export function checkTarget(target: unknown, option: string): CheckedTarget {
  if (target === 'latest') return latest;
  if (typeof target !== 'object' || target === null) {
    throw badOption(
      option,
      "must be 'latest', or have lsn, timestamp, checkpoint, savepoint or timeline",
      target,
    );
  }
  knownOnly(target, [...kinds, 'inclusive', 'timeline'], option);
  const given = target as Record<string, unknown>;
  const named = kinds.filter((kind) => given[kind] !== undefined);
  const [kind] = named;
  const { timeline } = given;
  const of =
    timeline === undefined ? {} : { timeline: wholeNumber(`${option}.timeline`, timeline, 1) };
  if (kind === undefined && timeline !== undefined && given['inclusive'] === undefined) {
    return { ...latest, ...of };
  }
  if (kind === undefined || named.length > 1) {
    throw badOption(option, 'must have one of lsn, timestamp, checkpoint and savepoint', undefined);
  }
  const inclusive = given['inclusive'] ?? true;
  if (typeof inclusive !== 'boolean') {
    throw badOption(`${option}.inclusive`, 'must be true or false', inclusive);
  }
  const path = `${option}.${kind}`;
  const value = given[kind];
  if (kind === 'savepoint') {
    return { kind, number: 0, name: checkName('savepoint', value), inclusive, ...of };
  }
  const number =
    kind === 'timestamp' ? microsOf(value, path) : wholeNumber(path, value, kind === 'lsn' ? 0 : 1);
  return { kind, number, name: '', inclusive, ...of };
}

function microsOf(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  if (!(value instanceof Date)) {
    throw badOption(path, 'must be a Date, or whole microseconds since 1970', value);
  }
  const micros = value.getTime() * 1000;
  if (Number.isSafeInteger(micros) && micros >= 0) return micros;
  throw badOption(path, 'must be a valid Date from 1970 on', undefined);
}

const instant =
  /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.(\d{1,6}))?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/**
 * A target as the command line takes it: `latest`, `lsn:N`, `checkpoint:N`, `savepoint:NAME`, or an
 * instant in ISO 8601 with a zone; a date alone is its midnight in UTC.
 */
export function parseTarget(text: string): Target {
  if (text === 'latest') return 'latest';
  const [, kind, rest] = /^(lsn|checkpoint|savepoint):(.*)$/s.exec(text) ?? [];
  if (kind === 'savepoint' && rest !== undefined) return { savepoint: rest };
  if (rest !== undefined && /^\d{1,16}$/.test(rest) && Number.isSafeInteger(Number(rest))) {
    return kind === 'lsn' ? { lsn: Number(rest) } : { checkpoint: Number(rest) };
  }
  const match = instant.exec(text);
  const millis = Date.parse(text);
  if (match && Number.isFinite(millis) && millis >= 0) {
    // Date keeps milliseconds; what is written behind them counts all the same.
    const micros = Number((match[1] ?? '').padEnd(6, '0').slice(3));
    return { timestamp: millis * 1000 + micros };
  }
  throw new InvalidArgumentError(
    'INVALID_OPTION',
    `no moment: ${text}; it is latest, lsn:N, checkpoint:N, savepoint:NAME, or a time such as 2026-11-20T14:02:37Z`,
    { option: 'at' },
  );
}
