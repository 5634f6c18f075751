/*
 * A commit as it goes to the log, the definitions in it, and the error of one whose outcome is not
 * known. Sealed by commit-sealer.ts.
 */
import type { ValueCodec } from '../codec/value.ts';
import { OutcomeUnknownError } from '../errors.ts';
import { operatorIds, ops, reservedTables } from '../snapshot/entry-format.ts';
import type { CommitEncoder } from '../state/commit-encoder.ts';
import { definitionToPlain, type TableDefinition } from '../state/table-definition.ts';

/** A commit as it goes to the log. */
export interface EncodedCommit {
  /** Borrowed until the next commit is encoded. */
  readonly record: Uint8Array;
  readonly entryCount: number;
  /** Definitions that the record logs. */
  readonly definitions: readonly TableDefinition[];
  /** To be called once the record is sealed. */
  readonly positionsSealed: () => void;
}

/** Logs definitions with the commit that first uses them. */
export function encodeDefinitions(
  encoder: CommitEncoder,
  definitions: readonly TableDefinition[],
  codec: ValueCodec,
): void {
  for (const definition of definitions) {
    encoder.add({
      table: reservedTables.catalog,
      op: ops.put,
      operator: operatorIds.none,
      expiry: 0,
      eventTime: 0,
      key: definition.id,
      subKey: undefined,
      value: codec.encode(definitionToPlain(definition)),
    });
  }
}

export function outcomeUnknown(
  commit: { readonly lsn: number; readonly timestamp: number },
  cause: unknown,
): OutcomeUnknownError {
  return new OutcomeUnknownError(
    `commit ${commit.lsn} was sealed, but writing it failed: open again and read positions`,
    { lsn: commit.lsn, timestamp: commit.timestamp },
    cause,
  );
}
