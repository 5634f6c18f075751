/*
 * Options of a checkpoint, checked at the call. Metadata is copied then: what the caller does to the
 * object afterwards is not in the record.
 */
import type { CheckpointRequest } from '../checkpoint/checkpointer-input.ts';
import { InvalidArgumentError } from '../errors.ts';
import { oneOf } from '../std/option-checks.ts';
import { checkName } from '../state/operator.ts';
import { checkKnown } from '../state/write-options.ts';
import { jsonFault } from './json-value.ts';

/** Options of one checkpoint. */
export interface CheckpointOptions {
  /**
   * 'delta': what changed since the last; 'base': everything, the chain is merged; 'auto': a delta,
   * and the first checkpoint of a store is always a base. @defaultValue 'auto'
   */
  readonly kind?: 'auto' | 'delta' | 'base';
  /** Makes it a savepoint of this name, which is kept until it is dropped. */
  readonly savepoint?: string;
  /** JSON that goes into the record. */
  readonly metadata?: unknown;
}

const kinds = ['auto', 'delta', 'base'] as const;

export function checkpointRequest(options: CheckpointOptions): CheckpointRequest {
  checkKnown(options, ['kind', 'savepoint', 'metadata']);
  const { kind = 'auto', savepoint, metadata } = options;
  oneOf('kind', kind, kinds);
  if (savepoint !== undefined) checkName('savepoint', savepoint);
  return { kind, savepoint, metadata: copyOf(metadata), trigger: 'call' };
}

function copyOf(metadata: unknown): unknown {
  if (metadata === undefined) return undefined;
  const fault = jsonFault(metadata);
  if (fault === undefined) return JSON.parse(JSON.stringify(metadata));
  throw new InvalidArgumentError('INVALID_VALUE', `metadata must be JSON: ${fault}`, {
    path: fault,
  });
}
