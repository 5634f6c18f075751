/*
 * Packs a slice as it stands in a file: blocks of its entries, blocks of its index, the table of the
 * blocks. Nothing in it depends on where in which file it comes to stand, so slices of one snapshot
 * can be packed in several threads and joined in order.
 */
import { checksum } from '../codec/checksum.ts';
import type { BlockPacker } from './block-packer.ts';
import { Slice, sliceLayout, type SliceDescriptor } from './slice.ts';
import type { SliceRecord } from './snapshot-footer.ts';
import { blockBytes, encodeBlockTable, type BlockRecord } from './snapshot-format.ts';
import type { Turns } from './task-context.ts';

/** What the footer says of a packed slice, but for its place. */
export type PackedRecord = Omit<SliceRecord, 'offset'>;

/** Gives every piece of a packed slice to `take`, in order, and what the footer has to say of it. */
export async function packSlice(
  descriptor: SliceDescriptor,
  packer: BlockPacker,
  turns: Turns,
  take: (piece: Uint8Array) => Promise<void> | void,
): Promise<PackedRecord> {
  const { buffer, dataBytes, entryCount, bucketCount, table } = descriptor;
  const layout = sliceLayout(dataBytes, entryCount, bucketCount);
  const indexBytes = layout.totalBytes - layout.hashesAt;
  const parts = [new Slice(descriptor).bytes, new Uint8Array(buffer, layout.hashesAt, indexBytes)];
  const blocks: BlockRecord[] = [];
  let storedBytes = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += blockBytes) {
      const raw = part.subarray(at, Math.min(part.length, at + blockBytes));
      const { stored, codec } = packer.pack(raw, table);
      blocks.push({ storedBytes: stored.length, crc: checksum(stored), codec });
      storedBytes += stored.length;
      await take(stored);
      if (turns.spend(raw.length)) await turns.pause();
    }
  }
  const blockTable = encodeBlockTable(blocks);
  await take(blockTable);
  const { firstHash, lastHash, bucketShift, hasKeyClears, hasTableClears } = descriptor;
  const places = { table, firstHash, lastHash, entryCount, dataBytes, bucketShift, bucketCount };
  const tableCrc = checksum(blockTable);
  return { ...places, hasKeyClears, hasTableClears, storedBytes, tableCrc };
}
