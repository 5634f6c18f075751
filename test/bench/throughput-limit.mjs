/*
 * A thread of the limit of an opening: takes slices of a file by turns with the others, reads their
 * blocks in large pieces, checks each block's CRC, and decompresses it into a buffer that it uses again
 * and again. Nothing is kept; or, with `keep`, all that was read is put into memory that is new and held
 * to the end of the pass, as any state in memory has to be: memory that is let go on the way would be
 * given out again, and cost nothing.
 */
import { parentPort } from 'node:worker_threads';
import { blockingFileSystem } from '../../dist/fs/blocking-file-system.js';
import { blockCodec } from '../../dist/snapshot/block-packer.js';
import { SnapshotReader } from '../../dist/snapshot/snapshot-reader.js';
import { checksum } from '../../dist/codec/checksum.js';

const READ_BYTES = 1024 * 1024;
let piece = new Uint8Array(READ_BYTES);
let raw = new Uint8Array(READ_BYTES);

parentPort.on('message', async ({ file, next, keep }) => {
  const handle = await blockingFileSystem.open(file, 'read');
  const reader = await SnapshotReader.open(handle, file);
  let bytes = 0;
  const held = [];
  for (;;) {
    const index = Atomics.add(next, 0, 1);
    if (index >= reader.sliceCount) break;
    const places = await reader.readBlockTable(index);
    const rawBytes = places.reduce((sum, place) => sum + place.rawBytes, 0);
    const kept = keep ? new Uint8Array(new SharedArrayBuffer(rawBytes)) : undefined;
    if (kept) held.push(kept);
    let keptAt = 0;
    for (let from = 0; from < places.length;) {
      let to = from;
      let stored = 0;
      while (to < places.length && (to === from || stored + places[to].storedBytes <= READ_BYTES)) {
        stored += places[to++].storedBytes;
      }
      if (stored > piece.length) piece = new Uint8Array(stored);
      await handle.read(piece.subarray(0, stored), places[from].offset);
      let at = 0;
      for (; from < to; from++) {
        const block = places[from];
        const source = piece.subarray(at, at + block.storedBytes);
        at += block.storedBytes;
        if (checksum(source) !== block.crc) throw new Error('a block fails its checksum');
        if (block.rawBytes > raw.length) raw = new Uint8Array(block.rawBytes);
        if (block.codec !== 0) {
          blockCodec(block.codec, reader.footer.ownCodecs).decompressInto(
            source,
            raw.subarray(0, block.rawBytes),
          );
        }
        if (kept) {
          const content = block.codec === 0 ? source : raw.subarray(0, block.rawBytes);
          kept.set(content, keptAt);
          keptAt += block.rawBytes;
        }
        bytes += block.rawBytes;
      }
    }
  }
  await handle.close();
  parentPort.postMessage({ bytes, slices: held.length });
});
