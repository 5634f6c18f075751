/*
 * State holders: existing code that serializes itself. Its bytes are a blob of a reserved operator,
 * written at each commit in which they changed, so they are as of the same moment as everything
 * else; chunking keeps an unchanged part from being stored again.
 */
import { createHash } from 'node:crypto';
import { IncompatibleError, InvalidArgumentError } from '../errors.ts';
import type { BlobState } from '../state/blob-state.ts';
import { checkName, type Operator } from '../state/operator.ts';
import type { ValueState } from '../state/value-state.ts';

/** Code that serializes its own state. */
export interface StateHolder {
  /** Names the state in the store; unique in the engine. */
  readonly name: string;
  /** Semantic version of the serialized form, `major.minor.patch`. */
  readonly schemaVersion: string;
  /** The whole state as bytes; called at each commit, synchronously. */
  serialize(): Uint8Array;
  /** Takes the state that a store holds; called by `register` when there is one. */
  deserialize(bytes: Uint8Array): void;
  /** Whether `migrate` can take bytes of a version. */
  canMigrateFrom?(version: string): boolean;
  /** Bytes of this version from bytes of another. */
  migrate?(bytes: Uint8Array, fromVersion: string): Uint8Array;
}

/** The operator that holders are kept under; its name cannot be asked for. */
export const holderOperator = '\u0000holders';

interface Registered {
  readonly holder: StateHolder;
  digest: string | undefined;
}

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
    const name = checkName('holder', holder.name);
    parseVersion(holder.schemaVersion, name);
    if (typeof holder.serialize !== 'function' || typeof holder.deserialize !== 'function') {
      throw new InvalidArgumentError('INVALID_VALUE', `holder ${name} lacks a function`, { name });
    }
    if (this.#registered.has(name)) {
      throw new InvalidArgumentError('INVALID_NAME', `holder is registered already: ${name}`, {
        name,
      });
    }
    const stored = this.#bytes.get(name);
    if (stored) holder.deserialize(readable(holder, stored, this.#versions.get(name) ?? ''));
    this.#registered.set(name, { holder, digest: undefined });
  }

  /** Puts what has changed into the open transaction; returns what to call once it is sealed. */
  collect(): (() => void) | undefined {
    if (this.#registered.size === 0) return undefined;
    const sealed: (() => void)[] = [];
    for (const [name, registered] of this.#registered) {
      const { holder } = registered;
      const bytes = holder.serialize();
      if (!(bytes instanceof Uint8Array)) {
        throw new InvalidArgumentError('INVALID_VALUE', `holder ${name} serialized no bytes`, {
          name,
        });
      }
      const digest = createHash('sha256').update(bytes).digest('hex');
      if (digest === registered.digest) continue;
      this.#bytes.set(name, bytes);
      this.#versions.set(name, holder.schemaVersion);
      sealed.push(() => {
        registered.digest = digest;
      });
    }
    return () => {
      for (const act of sealed) act();
    };
  }
}

/** The same major version and not newer is read as it is; anything else is migrated, or refused. */
function readable(holder: StateHolder, bytes: Uint8Array, stored: string): Uint8Array {
  const { name, schemaVersion } = holder;
  const from = parseVersion(stored, name);
  const to = parseVersion(schemaVersion, name);
  const newer = from[1] > to[1] || (from[1] === to[1] && from[2] > to[2]);
  if (from[0] === to[0] && !newer) return bytes;
  if (holder.migrate && holder.canMigrateFrom?.(stored)) return holder.migrate(bytes, stored);
  throw new IncompatibleError(
    'SCHEMA_CHANGED',
    `holder ${name} cannot read its state: stored as version ${stored}, code has ${schemaVersion}`,
    { name, stored, asked: schemaVersion },
  );
}

function parseVersion(version: unknown, name: string): readonly [number, number, number] {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(String(version));
  if (match) return [Number(match[1]), Number(match[2]), Number(match[3])];
  throw new InvalidArgumentError(
    'INVALID_OPTION',
    `schemaVersion of holder ${name} must be major.minor.patch: ${String(version)}`,
    { name },
  );
}
