/*
 * The links of a chain as a checkpoint record names them: base first, each delta from where the one
 * before ends, none past the LSN of the record.
 */
import type { ChainLink, CheckpointRecord } from '../checkpoint/checkpoint-record.ts';

/** The first link that does not fit, and why. */
export interface ChainFault {
  readonly link: ChainLink;
  readonly what: string;
}

export function findChainFault(record: CheckpointRecord): ChainFault | undefined {
  let lastLsn = 0;
  for (const [i, link] of record.chain.entries()) {
    const kind = i === 0 ? 'base' : 'delta';
    if (link.kind !== kind) return { link, what: `is a ${link.kind} where a ${kind} is due` };
    if (link.fromLsn !== lastLsn) {
      return { link, what: `starts behind LSN ${link.fromLsn} where ${lastLsn} is due` };
    }
    if (link.lastLsn < link.fromLsn) {
      return { link, what: `ends at LSN ${link.lastLsn} before it starts` };
    }
    ({ lastLsn } = link);
  }
  const last = record.chain.at(-1);
  if (last && lastLsn > record.lsn) {
    return { link: last, what: `ends at LSN ${lastLsn} past that of the record, ${record.lsn}` };
  }
  return undefined;
}
