/*
 * Keys as handles and readers are given them: checked, and in the form that memtables use. One that
 * cannot be a key is refused with the state that it was meant for.
 */
import { mapKeyOf, type Key } from '../codec/key.ts';
import { InvalidArgumentError } from '../errors.ts';
import type { MapKey } from './cells.ts';
import type { TableDefinition } from './table-definition.ts';

/** What a key is of. */
interface Keyed {
  readonly definition: Pick<TableDefinition, 'operator' | 'state'>;
}

/** @throws InvalidArgumentError INVALID_KEY with operator and state */
export function keyIn(table: Keyed, key: Key): MapKey {
  try {
    return mapKeyOf(key);
  } catch (error) {
    throw placed(error, table, 'key');
  }
}

/** @throws InvalidArgumentError INVALID_KEY with operator and state */
export function subKeyIn(table: Keyed, subKey: Key): MapKey {
  try {
    return mapKeyOf(subKey);
  } catch (error) {
    throw placed(error, table, 'sub-key');
  }
}

function placed(error: unknown, { definition }: Keyed, what: string): unknown {
  if (!(error instanceof InvalidArgumentError)) return error;
  const { operator, state } = definition;
  return new InvalidArgumentError(
    'INVALID_KEY',
    `${what} of ${operator}.${state}: ${error.message}`,
    { ...error.details, operator, state, what },
    error,
  );
}
