/*
 * `tidemark merge DIR`: merges snapshots of the chain now. It opens the store for writing, so no
 * other process may have it open; `--dry-run` only reads.
 */
import {
  openEngine,
  planStoreMerge,
  type ChainLink,
  type ChainOptions,
  type ChainPolicy,
  type MergeStrategy,
  type StoreMergePlan,
} from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { formatBytes, toJson } from './render.ts';

/** Options of the verb. */
export interface MergeVerbOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly strategy?: MergeStrategy;
}

export async function merge(
  output: Output,
  dir: string,
  options: MergeVerbOptions,
): Promise<number> {
  const strategy = options.strategy === undefined ? {} : { strategy: options.strategy };
  // Also finds out that there is a store: opening one would make it.
  const planned = await planStoreMerge({ dir, ...storeOf(options), ...strategy });
  if (options.dryRun === true) {
    if (options.json) await output.line(toJson({ ...planned }));
    else await printPlan(output, planned);
    return status.fine;
  }
  const engine = await openEngine({
    dir,
    ...storeOf(options),
    ...settingsOf(planned.policy),
    // As the one who writes the store has it, also in the record of the merge.
    retention: planned.retention ?? false,
    checkpointing: false,
  });
  try {
    const { why, record } = await engine.merge(strategy);
    if (options.json) {
      await output.line(toJson({ why, merge: record?.merge, checkpoint: record?.id }));
    } else if (record?.merge === undefined) {
      await output.line(`nothing was merged: ${why}`);
    } else {
      const { inputBytes, outputBytes, milliseconds, inputs } = record.merge;
      await output.line(
        `merged ${inputs.length} snapshots, ${formatBytes(inputBytes)}, ` +
          `into ${formatBytes(outputBytes)} in ${(milliseconds / 1000).toFixed(3)} s`,
      );
      await output.line(`checkpoint ${record.id}: ${why}`);
      await printChain(output, record.chain);
    }
    return status.fine;
  } finally {
    await engine.close();
  }
}

/** The settings of the one who writes the store stay in its records. */
function settingsOf(policy: ChainPolicy | undefined): ChainOptions {
  if (!policy) return {};
  const { strategy, restoreSecondsMax, restoreBytesMax, ...rest } = policy;
  return {
    ...rest,
    merge: { strategy },
    ...(restoreSecondsMax === undefined ? {} : { restoreSecondsMax }),
    ...(restoreBytesMax === undefined ? {} : { restoreBytesMax }),
  };
}

async function printPlan(output: Output, planned: StoreMergePlan): Promise<void> {
  const { why, plan, chain, before, after } = planned;
  await output.line(plan ? `would merge: ${why}` : `nothing would be merged: ${why}`);
  await output.line(
    `restore     about ${before.seconds.toFixed(3)} s, ${formatBytes(before.bytes)} now` +
      (plan ? `; ${after.seconds.toFixed(3)} s, ${formatBytes(after.bytes)} after` : ''),
  );
  await printChain(output, chain, plan);
}

async function printChain(
  output: Output,
  chain: readonly ChainLink[],
  plan?: { readonly start: number; readonly count: number },
): Promise<void> {
  if (chain.length === 0) return;
  await output.line();
  await output.table(
    ['snapshot', 'kind', 'LSNs', 'bytes', 'entries', ...(plan ? ['merged'] : [])],
    chain.map(({ name, kind, fromLsn, lastLsn, bytes, entryCount }, i) => [
      name,
      kind,
      `${fromLsn + 1} to ${lastLsn}`,
      formatBytes(bytes),
      entryCount,
      ...(plan ? [i >= plan.start && i < plan.start + plan.count ? 'yes' : ''] : []),
    ]),
  );
}
