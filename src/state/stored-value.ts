/*
 * Reads the value of an entry in the form that its state has in this process (value-versions.ts), and
 * says of what cannot be read where it stands. Code of the user may run (`upgrade` of the state, `decode`
 * and `upgrade` of registered types), and may read: nothing of a borrowed entry is used after it.
 */
import { decodeVersioned, hasVersion, storedVersion } from '../codec/value-version.ts';
import type { ValueCodec } from '../codec/value.ts';
import { CorruptionError, IncompatibleError } from '../errors.ts';
import type { TableDefinition } from './table-definition.ts';
import { placeOf, upgraded, type EntryPlace, type Versioning } from './value-versions.ts';

/** What reading needs of a space. */
interface Reading {
  readonly codec: ValueCodec;
  readonly whileCalling: <T>(call: () => T) => T;
}

/** A table as far as reading goes. */
interface ReadTable {
  readonly definition: TableDefinition;
  readonly versioning: Versioning;
}

/** Decodes a value that was encoded; nothing of the result aliases the entry. */
export function readStored(
  { codec, whileCalling: guard }: Reading,
  { definition, versioning }: ReadTable,
  entry: EntryPlace & { readonly valueEnd: number },
): unknown {
  const { bytes, keyStart, keyEnd, subKeyEnd, valueEnd, flags } = entry;
  const isPlain = versioning.version === 1 && !hasVersion(bytes, subKeyEnd, valueEnd);
  let value: unknown;
  try {
    if (isPlain) return codec.decode(bytes, subKeyEnd, valueEnd);
    value = decodeVersioned(codec, bytes, subKeyEnd, valueEnd);
  } catch (error) {
    throw placed(error, definition, { bytes, keyStart, keyEnd, subKeyEnd, flags });
  }
  const at = { bytes, keyStart, keyEnd, subKeyEnd, flags };
  const from = storedVersion(bytes, subKeyEnd, valueEnd);
  return upgraded(value, from, versioning, { definition, at, guard });
}

/** Names operator, state and key of what cannot be read. */
function placed(error: unknown, definition: TableDefinition, at: EntryPlace): unknown {
  const isIncompatible = error instanceof IncompatibleError;
  if (!isIncompatible && !(error instanceof CorruptionError)) return error;
  const { operator, state } = definition;
  const details = { ...error.details, operator, state, ...placeOf(definition, at) };
  const message = `a value of ${operator}.${state} cannot be read: ${error.message}`;
  return isIncompatible
    ? new IncompatibleError(error.code as 'SCHEMA_CHANGED', message, details, error.cause ?? error)
    : new CorruptionError('CORRUPT_SNAPSHOT', message, details, error);
}
