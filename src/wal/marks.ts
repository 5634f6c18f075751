/*
 * Marks: groups without frames. A proof mark names the durable LSN; a seal mark says besides that a
 * successor of its segment exists (L5). Whoever writes one has synced everything before it.
 */
import { encodeGroupHeader, groupHeaderBytes, groupKinds } from './group-format.ts';
import type { Border } from './segment-scan.ts';

/** Bytes of a mark that stands at a border. */
export function encodeMark(
  kind: 'proof' | 'seal',
  salt: Uint8Array,
  at: Border,
  durableLsn: number,
): Uint8Array {
  const mark = new Uint8Array(groupHeaderBytes);
  const header = {
    kind: groupKinds[kind],
    codec: 0,
    bodyBytes: 0,
    frameBytes: 0,
    frameCount: 0,
    recordCount: 0,
    firstLsn: at.lsn + 1,
    durableLsn,
    chain: at.chain,
    bodyCrc: 0,
  };
  encodeGroupHeader(mark, 0, header, salt, at.offset);
  return mark;
}
