/*
 * Stored values as the handles of an engine read them: what its history, its differences and the
 * effects of its feed show. A state that has no handle is shown as it is stored, and so is what its
 * handle knows no way from. Readers of other processes have no code of the program and use none of this.
 */
import { storedVersion } from '../codec/value-version.ts';
import { ValueDecoder } from '../codec/value-decoder.ts';
import type { Entry } from '../snapshot/entry.ts';
import type { StateSpace } from './state-space.ts';
import type { TableDefinition } from './table-definition.ts';
import { upgraded } from './value-versions.ts';

export class UpgradingDecoder extends ValueDecoder {
  readonly #space: Pick<StateSpace, 'versioningOf' | 'whileCalling'>;

  constructor(plain: ValueDecoder, space: Pick<StateSpace, 'versioningOf' | 'whileCalling'>) {
    super(plain.types);
    this.#space = space;
  }

  /**
   * The newest form of a value that was decoded.
   * @throws IncompatibleError SCHEMA_CHANGED when `upgrade` throws
   */
  upToDate(value: unknown, definition: TableDefinition, at: Entry): unknown {
    const versioning = this.#space.versioningOf(definition.operator, definition.state);
    if (!versioning) return value;
    const from = storedVersion(at.bytes, at.subKeyEnd, at.valueEnd);
    const guard = this.#space.whileCalling;
    return upgraded(value, from, { ...versioning, lenient: true }, { definition, at, guard });
  }
}
