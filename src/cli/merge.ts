/*
 * `tidemark merge DIR`: merges snapshots of the chain now. It opens the store for writing, so no
 * other process may have it open; `--dry-run` only reads.
 */
import {
  mergeStore,
  planStoreMerge,
  type ChainLink,
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
  readonly threads?: number;
}

export async function merge(
  output: Output,
  dir: string,
  options: MergeVerbOptions,
): Promise<number> {
  const strategy = options.strategy === undefined ? {} : { strategy: options.strategy };
  const where = { dir, ...storeOf(options) };
  if (options.dryRun === true) {
    const planned = await planStoreMerge({ ...where, ...strategy });
    if (options.json) await output.line(toJson({ ...planned }));
    else await printPlan(output, planned);
    return status.fine;
  }
  const threadsMax = options.threads === undefined ? {} : { threadsMax: options.threads };
  const { why, record } = await mergeStore({ ...where, ...strategy, ...threadsMax });
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
