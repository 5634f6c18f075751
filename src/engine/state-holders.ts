/*
 * State holders: existing code that serializes itself. Its bytes are a blob of a reserved operator,
 * written at each commit in which they changed, so they are as of the same moment as everything
 * else; chunking keeps an unchanged part from being stored again.
 */
import { createHash } from 'node:crypto';
import {
  CorruptionError,
  IncompatibleError,
  InvalidArgumentError,
  TidemarkError,
} from '../errors.ts';
import { badOption } from '../std/option-checks.ts';
import {
  parseSemanticVersion,
  readsSemanticVersion,
  type SemanticVersion,
} from '../std/semantic-version.ts';
import type { BlobState } from '../state/blob-state.ts';
import { checkName, holderOperator, type Operator } from '../state/operator.ts';
import type { ValueState } from '../state/value-state.ts';

/** Code that serializes its own state. */
export interface StateHolder {
  /** Names the state in the store; unique in the engine. */
  readonly name: string;
  /** Semantic version of the serialized form, `major.minor.patch`; read by `register`. */
  readonly schemaVersion: string;
  /** The whole state as bytes; called at each commit, synchronously. */
  serialize(): Uint8Array;
  /** Takes the state that a store holds; called by `register` when there is one. */
  deserialize(bytes: Uint8Array): void;
  /** Whether `migrate` can take bytes of a version, an older one or a newer one. */
  canMigrateFrom?(version: string): boolean;
  /** Bytes of this version from bytes of another; they are stored by the next commit. */
  migrate?(bytes: Uint8Array, fromVersion: string): Uint8Array;
}

/** Members of a holder that are functions, and whether it needs them. */
const holderFunctions = [
  ['serialize', true],
  ['deserialize', true],
  ['canMigrateFrom', false],
  ['migrate', false],
] as const;

interface Registered {
  readonly holder: StateHolder;
  /** As it was registered. */
  readonly version: string;
  /** Version and digest of what is committed; undefined: nothing, or of another version. */
  stored: string | undefined;
  /** The open transaction may hold other bytes, from a commit that was refused. */
  pending: boolean;
}

/** Runs code of the user in a commit that is being encoded. */
export type SerializeGuard = <T>(serialize: () => T) => T;

export class StateHolders {
  readonly #bytes: BlobState;
  readonly #versions: ValueState<string>;
  readonly #registered = new Map<string, Registered>();

  constructor(operator: Operator) {
    this.#bytes = operator.blob('bytes');
    this.#versions = operator.value<string>('versions');
  }

  /** Takes a holder, and gives it the state that the store has for it. */
  register(holder: StateHolder): void {
    if (typeof holder !== 'object' || holder === null) {
      throw new InvalidArgumentError('INVALID_VALUE', 'a holder must be an object');
    }
    const name = checkName('holder', holder.name);
    const { schemaVersion } = holder;
    checkHolderVersion(schemaVersion, name);
    checkFunctions(holder);
    if (this.#registered.has(name)) {
      throw new InvalidArgumentError('INVALID_NAME', `holder is registered already: ${name}`, {
        name,
      });
    }
    const bytes = this.#bytes.get(name);
    const version = this.#versions.get(name) ?? '';
    let stored: string | undefined;
    if (bytes) {
      stored = markOf(version, bytes);
      give(holder, bytes, version);
    }
    this.#registered.set(name, { holder, version: schemaVersion, stored, pending: false });
  }

  /**
   * Puts what has changed into the open transaction; returns what to call once it is sealed. All
   * are serialized before anything is put, and may change nothing meanwhile.
   */
  collect(guard: SerializeGuard): (() => void) | undefined {
    if (this.#registered.size === 0) return undefined;
    const all = [...this.#registered.values()];
    const serialized = guard(() => all.map(({ holder }) => serialize(holder)));
    const sealed: (() => void)[] = [];
    all.forEach((registered, i) => {
      const { holder, version } = registered;
      const { name } = holder;
      const bytes = serialized[i]!;
      const mark = markOf(version, bytes);
      if (mark === registered.stored && !registered.pending) return;
      registered.pending = true;
      this.#bytes.set(name, bytes);
      this.#versions.set(name, version);
      sealed.push(() => {
        registered.stored = mark;
        registered.pending = false;
      });
    });
    return () => {
      for (const act of sealed) act();
    };
  }
}

function markOf(version: string, bytes: Uint8Array): string {
  return `${version}:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** What a holder has to have, and what it may have, are functions. */
function checkFunctions(holder: StateHolder): void {
  const { name } = holder;
  for (const [what, needed] of holderFunctions) {
    const kind = typeof holder[what];
    if (kind === 'function' || (kind === 'undefined' && !needed)) continue;
    throw new InvalidArgumentError('INVALID_VALUE', `holder ${name} must have a function ${what}`, {
      name,
      member: what,
    });
  }
}

function serialize(holder: StateHolder): Uint8Array {
  const { name } = holder;
  let bytes: unknown;
  try {
    bytes = holder.serialize();
  } catch (error) {
    throw new InvalidArgumentError(
      'INVALID_VALUE',
      `holder ${name} could not serialize its state: ${textOf(error)}`,
      { name },
      error,
    );
  }
  if (bytes instanceof Uint8Array) return bytes;
  throw new InvalidArgumentError(
    'INVALID_VALUE',
    `serialize of holder ${name} must return a Uint8Array, at once: ${kindOf(bytes)}`,
    { name, member: 'serialize' },
  );
}

/** What a value is, for people. */
function kindOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return value instanceof Promise ? 'a promise' : 'another object';
}

/** Gives a holder its state; what its code throws says that it cannot read it. */
function give(holder: StateHolder, bytes: Uint8Array, version: string): void {
  try {
    holder.deserialize(readable(holder, bytes, version));
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    const { name, schemaVersion } = holder;
    throw new IncompatibleError(
      'SCHEMA_CHANGED',
      `holder ${name} could not read its state of version ${version}: ${textOf(error)}`,
      { name, stored: version, asked: schemaVersion },
      error,
    );
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The same major version and not newer is read as it is; anything else is migrated, or refused. */
function readable(holder: StateHolder, bytes: Uint8Array, stored: string): Uint8Array {
  const { name, schemaVersion } = holder;
  const from = parseSemanticVersion(stored);
  if (!from) {
    const path = { operator: holderOperator, state: 'versions', key: name };
    throw new CorruptionError('CORRUPT_SNAPSHOT', `holder ${name} has no stored version`, path);
  }
  if (readsSemanticVersion(checkHolderVersion(schemaVersion, name), from)) return bytes;
  const canMigrate: unknown = holder.migrate && holder.canMigrateFrom?.(stored);
  if (canMigrate !== undefined && typeof canMigrate !== 'boolean') {
    throw new InvalidArgumentError(
      'INVALID_VALUE',
      `canMigrateFrom of holder ${name} must return true or false, at once: ${kindOf(canMigrate)}`,
      { name, member: 'canMigrateFrom' },
    );
  }
  if (holder.migrate && canMigrate) {
    const migrated: unknown = holder.migrate(bytes, stored);
    if (migrated instanceof Uint8Array) return migrated;
    throw new InvalidArgumentError(
      'INVALID_VALUE',
      `migrate of holder ${name} must return a Uint8Array, at once: ${kindOf(migrated)}`,
      { name, member: 'migrate' },
    );
  }
  throw new IncompatibleError(
    'SCHEMA_CHANGED',
    `holder ${name} cannot read its state, ${whyNotMigrated(holder)}: stored as version ` +
      `${stored}, code has ${schemaVersion}`,
    { name, stored, asked: schemaVersion },
  );
}

function whyNotMigrated(holder: StateHolder): string {
  if (!holder.migrate) return 'it has no migrate';
  return holder.canMigrateFrom
    ? 'its canMigrateFrom refuses that version'
    : 'it has no canMigrateFrom';
}

function checkHolderVersion(version: unknown, name: string): SemanticVersion {
  const parsed = parseSemanticVersion(version);
  if (parsed) return parsed;
  throw badOption('schemaVersion', `of holder ${name} must be major.minor.patch`, version, {
    name,
  });
}
