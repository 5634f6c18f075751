/*
 * What the catalogue knows of a table: which operator and state it belongs to and how it is kept.
 * Definitions are entries of a reserved table, so they are committed with the state they describe.
 */
import {
  compressionFromPlain,
  sameCompression,
  type CompressionSetting,
} from '../codec/compression-setting.ts';
import { VERSION_MAX } from '../codec/value-version.ts';
import { IncompatibleError } from '../errors.ts';

export const stateKinds = [
  'value',
  'map',
  'list',
  'counter',
  'min',
  'max',
  'reducing',
  'aggregating',
  'blob',
] as const;
export type StateKind = (typeof stateKinds)[number];

/** Whether writes expire by default. */
export type TtlType = 'none' | 'write';

/** A table as the catalogue stores it. */
export interface TableDefinition {
  readonly id: number;
  readonly operator: string;
  readonly state: string;
  readonly kind: StateKind;
  readonly ttlType: TtlType;
  /** Newest items that a list keeps; undefined: all. */
  readonly itemsMax: number | undefined;
  /** Of the snapshots written from then on; left out: the store's. */
  readonly compression?: CompressionSetting | undefined;
  /** The greatest that values were written with; left out: 1. */
  readonly version?: number | undefined;
  /** False: its snapshots are read where they are, and never loaded whole; left out: true. */
  readonly resident?: false | undefined;
}

/** The same table as far as stored bytes go: otherwise SCHEMA_CHANGED, naming both. */
export function checkSameSchema(stored: TableDefinition, asked: TableDefinition): void {
  const where = `${stored.operator}.${stored.state}`;
  const change = (what: string, from: string, to: string): IncompatibleError =>
    new IncompatibleError(
      'SCHEMA_CHANGED',
      `${what} of state ${where} changed: stored as ${from}, asked for as ${to}`,
      { operator: stored.operator, state: stored.state, stored: from, asked: to },
    );
  if (stored.kind !== asked.kind) throw change('kind', stored.kind, asked.kind);
  if (stored.ttlType !== asked.ttlType) throw change('TTL type', stored.ttlType, asked.ttlType);
}

/** The same in what may be changed at any time. */
export function sameSettings(
  a: Pick<TableDefinition, 'itemsMax' | 'compression' | 'version' | 'resident'>,
  b: Pick<TableDefinition, 'itemsMax' | 'compression' | 'version' | 'resident'>,
): boolean {
  if (a.itemsMax !== b.itemsMax || a.version !== b.version) return false;
  if (a.resident !== b.resident) return false;
  return sameCompression(a.compression, b.compression);
}

/** Plain form for the catalogue and for checkpoint records. */
export function definitionToPlain(definition: TableDefinition): Record<string, unknown> {
  const { id, operator, state, kind, ttlType, itemsMax, compression, version, resident } =
    definition;
  return {
    id,
    operator,
    state,
    kind,
    ttlType,
    ...(itemsMax === undefined ? {} : { itemsMax }),
    ...(compression === undefined ? {} : { compression: { ...compression } }),
    ...(version === undefined ? {} : { version }),
    ...(resident === undefined ? {} : { resident }),
  };
}

/** Definition of its plain form, or undefined when it is none. */
export function definitionFromPlain(plain: unknown): TableDefinition | undefined {
  if (typeof plain !== 'object' || plain === null) return undefined;
  const { id, operator, state, kind, ttlType, itemsMax, version, resident } = plain as Record<
    string,
    unknown
  >;
  const sound =
    Number.isSafeInteger(id) &&
    typeof operator === 'string' &&
    typeof state === 'string' &&
    (stateKinds as readonly unknown[]).includes(kind) &&
    (ttlType === 'none' || ttlType === 'write') &&
    (itemsMax === undefined || Number.isSafeInteger(itemsMax)) &&
    (version === undefined || isVersion(version)) &&
    (resident === undefined || resident === false);
  const stored = (plain as Record<string, unknown>)['compression'];
  const compression = compressionFromPlain(stored);
  if (!sound || (stored !== undefined && !compression)) return undefined;
  return {
    id: Number(id),
    operator,
    state,
    kind: kind as StateKind,
    ttlType,
    itemsMax: itemsMax as number | undefined,
    ...(compression === undefined ? {} : { compression }),
    ...(version === undefined ? {} : { version: version as number }),
    ...(resident === undefined ? {} : { resident }),
  };
}

/** A version that is written down: 1 is not. */
function isVersion(version: unknown): boolean {
  return Number.isSafeInteger(version) && Number(version) > 1 && Number(version) <= VERSION_MAX;
}
