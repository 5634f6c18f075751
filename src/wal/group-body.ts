/*
 * The body of a group: what is stored, checked, decompressed where it is compressed, and checked
 * again as frames. Nothing is decompressed before the stored bytes have passed their CRC, and never
 * into more memory than the header names, which is bounded (group-format.ts).
 *
 * The chain value is that of the frames, so a group says the same however it is stored (L3).
 */
import { checksum } from '../codec/checksum.ts';
import { builtInCodecs, codecById } from '../codec/compression.ts';
import { CorruptionError, IncompatibleError } from '../errors.ts';
import { chainCrc, mixFrame, type ChainValue } from './chain-value.ts';
import { groupBytes, groupHeaderBytes, visitFrames, type GroupHeader } from './group-format.ts';

/** The frames of a group: where they stand, which is the stored bytes unless they are compressed. */
export interface GroupBody {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * The frames of the group whose stored body stands at `start`, or a text that says why they do not
 * follow from the chain value before them.
 * @throws IncompatibleError UNSUPPORTED_FORMAT, CODEC_UNAVAILABLE for a codec that is not here
 */
export function readGroupBody(
  bytes: Uint8Array,
  start: number,
  header: GroupHeader,
  before: ChainValue,
): GroupBody | string {
  const fault = storedFault(bytes, start, header);
  if (fault !== undefined) return fault;
  const body = expand(bytes, start, header);
  if (typeof body === 'string') return body;
  return framesFault(body, header, before) ?? body;
}

/** The frames of a group by its own checksum alone, where what stood before it is not known. */
export function readLooseBody(
  bytes: Uint8Array,
  start: number,
  header: GroupHeader,
): GroupBody | string {
  return storedFault(bytes, start, header) ?? expand(bytes, start, header);
}

/** Why the stored bytes are not those that were written: their CRC, and the padding behind them. */
function storedFault(bytes: Uint8Array, start: number, header: GroupHeader): string | undefined {
  const end = start + header.bodyBytes;
  const paddedEnd = start + groupBytes(header.bodyBytes) - groupHeaderBytes;
  if (paddedEnd > bytes.length) return 'has a body that is cut short';
  if (checksum(bytes, start, end) !== header.bodyCrc) return 'has a body that fails its checksum';
  for (let at = end; at < paddedEnd; at++)
    if (bytes[at] !== 0) return 'has padding that is not zero';
  return undefined;
}

function expand(bytes: Uint8Array, start: number, header: GroupHeader): GroupBody | string {
  const { codec, bodyBytes, frameBytes, firstLsn } = header;
  const end = start + bodyBytes;
  if (codec === 0) return { bytes, start, end };
  if (builtInCodecs[codec] === undefined) {
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `log group at LSN ${firstLsn} is compressed with codec ${codec}, which this release has not`,
      { lsn: firstLsn, codec },
    );
  }
  const frames = new Uint8Array(frameBytes);
  try {
    codecById(codec).decompressInto(bytes.subarray(start, end), frames);
  } catch (error) {
    if (error instanceof CorruptionError) return 'has a body that does not decompress';
    throw error;
  }
  return { bytes: frames, start: 0, end: frameBytes };
}

/** Checks counts, and that chain value and LSNs continue. */
function framesFault(
  { bytes, start, end }: GroupBody,
  header: GroupHeader,
  before: ChainValue,
): string | undefined {
  let frames = 0;
  let records = 0;
  let mix = before.mix;
  try {
    visitFrames(bytes, start, end, header.firstLsn, (firstLsn, recordCount, from, to) => {
      frames++;
      records += recordCount;
      mix = mixFrame(mix, firstLsn, to - from);
    });
  } catch (error) {
    if (error instanceof CorruptionError) return error.message;
    throw error;
  }
  if (frames !== header.frameCount || records !== header.recordCount) return 'has wrong counts';
  if (chainCrc(before.crc, bytes, start, end) !== header.chain.crc || mix !== header.chain.mix) {
    return 'does not continue the chain value before it';
  }
  return undefined;
}
