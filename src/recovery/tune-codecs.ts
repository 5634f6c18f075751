/*
 * Codecs as they do on the blocks of a store's own snapshots: what they leave of entries and of
 * indexes, table by table, and how long they take to give the bytes back. Nothing is assumed; a
 * codec that is not installed is left out and named.
 */
import type { ChainLink } from '../checkpoint/checkpoint-record.ts';
import type { CodecModel, PartShares } from '../checkpoint/tuning/tuning-size.ts';
import type { CompressionSetting } from '../codec/compression-setting.ts';
import { codecById, isBuiltIn } from '../codec/compression.ts';
import { IncompatibleError } from '../errors.ts';
import { BlockPacker } from '../snapshot/block-packer.ts';
import { sliceLayout, type SliceDescriptor } from '../snapshot/slice.ts';
import { blockBytes } from '../snapshot/snapshot-format.ts';
import { loadSnapshot } from '../snapshot/tasks.ts';
import type { Clock } from '../std/clock.ts';
import { readerContext } from './reader-moment.ts';
import type { ObjectFile } from './reader-objects.ts';

/** Blocks of entries, and of the index, that are looked at of a slice. */
const BLOCKS_MAX = 12;

/** A snapshot to take blocks from. */
export interface SampledSnapshot {
  readonly link: Pick<ChainLink, 'kind' | 'bytes'>;
  readonly file: ObjectFile;
}

interface Block {
  readonly kind: 'base' | 'delta';
  readonly table: number;
  readonly part: 'data' | 'index';
  readonly bytes: Uint8Array;
}

/** Blocks of snapshots, read once and packed by each codec. */
export interface BlockSample {
  readonly blocks: readonly Block[];
}

/** Reads one slice of each table of each snapshot, and keeps some of its blocks. */
export async function sampleBlocks(snapshots: readonly SampledSnapshot[]): Promise<BlockSample> {
  const blocks: Block[] = [];
  for (const { link, file } of snapshots) {
    const { records } = await loadSnapshot(
      file.fs,
      { path: file.path, sliceIndexes: [] },
      readerContext,
    );
    const seen = new Set<number>();
    const sliceIndexes = records.flatMap(({ table }, index) => {
      if (seen.has(table)) return [];
      seen.add(table);
      return [index];
    });
    const loaded = await loadSnapshot(file.fs, { path: file.path, sliceIndexes }, readerContext);
    for (const slice of loaded.slices) blocks.push(...blocksOf(link.kind, slice));
  }
  return { blocks };
}

function* blocksOf(kind: Block['kind'], slice: SliceDescriptor): Generator<Block> {
  const { buffer, table, dataBytes, entryCount, bucketCount } = slice;
  const { hashesAt, totalBytes } = sliceLayout(dataBytes, entryCount, bucketCount);
  const parts = [
    { part: 'data' as const, start: 0, end: dataBytes },
    { part: 'index' as const, start: hashesAt, end: totalBytes },
  ];
  for (const { part, start, end } of parts) {
    const count = Math.ceil((end - start) / blockBytes);
    const step = Math.max(1, count / BLOCKS_MAX);
    for (let i = 0; i < count; i += step) {
      const from = start + Math.floor(i) * blockBytes;
      const bytes = new Uint8Array(buffer).slice(from, Math.min(end, from + blockBytes));
      yield { kind, table, part, bytes };
    }
  }
}

/** What a codec was seen to do. */
export interface MeasuredCodec {
  readonly setting: CompressionSetting;
  readonly base: PartShares;
  readonly delta: PartShares;
  /** Seconds for a byte before compression, on one core. */
  readonly packSecondsPerByte: number;
  readonly unpackSecondsPerByte: number;
}

/** Packs the sample and gives it back; the reason where the codec is not there. */
export function measureCodec(
  sample: BlockSample,
  setting: CompressionSetting,
  clock: Clock,
): MeasuredCodec | string {
  let packer: BlockPacker;
  try {
    packer = new BlockPacker(setting);
  } catch (error) {
    if (error instanceof IncompatibleError) return error.message;
    throw error;
  }
  const sums = { base: new ShareSums(), delta: new ShareSums() };
  let rawBytes = 0;
  const packedAt = clock.monotonicMs();
  const packed = sample.blocks.map((block) => {
    const { stored, codec } = packer.pack(block.bytes, block.table);
    sums[block.kind].add(block, stored.length);
    rawBytes += block.bytes.length;
    return { stored: Uint8Array.from(stored), codec, rawBytes: block.bytes.length };
  });
  const unpackedAt = clock.monotonicMs();
  const target = new Uint8Array(blockBytes);
  for (const { stored, codec, rawBytes } of packed) {
    if (isBuiltIn(setting.codec))
      codecById(codec).decompressInto(stored, target.subarray(0, rawBytes));
  }
  const endedAt = clock.monotonicMs();
  const base = sums.base.shares();
  const delta = sums.delta.shares();
  const perByte = (ms: number): number => ms / 1000 / Math.max(1, rawBytes);
  return {
    setting,
    // A store that has no delta, or no base, is taken to have the other's.
    base: base ?? delta ?? wholeShares,
    delta: delta ?? base ?? wholeShares,
    packSecondsPerByte: perByte(unpackedAt - packedAt),
    unpackSecondsPerByte: perByte(endedAt - unpackedAt),
  };
}

const wholeShares: PartShares = { tables: new Map(), data: 1, index: 1 };

/** The codec's part of a restore: what was measured of the store's own, with this one's unpacking. */
export function codecModel(
  measured: MeasuredCodec,
  own: MeasuredCodec,
  ownLoadSecondsPerByte: number,
): CodecModel {
  const other = Math.max(0, ownLoadSecondsPerByte - own.unpackSecondsPerByte);
  const { codec, level } = measured.setting;
  const { base, delta, unpackSecondsPerByte } = measured;
  const loadSecondsPerByte = other + Math.min(unpackSecondsPerByte, ownLoadSecondsPerByte * 10);
  return {
    codec,
    level,
    base,
    delta,
    loadSecondsPerByte: measured === own ? ownLoadSecondsPerByte : loadSecondsPerByte,
  };
}

class ShareSums {
  readonly #data = new Map<number, { raw: number; stored: number }>();
  readonly #index = { raw: 0, stored: 0 };

  add({ table, part, bytes }: Block, stored: number): void {
    let sum = this.#index;
    if (part === 'data') {
      sum = this.#data.get(table) ?? { raw: 0, stored: 0 };
      this.#data.set(table, sum);
    }
    sum.raw += bytes.length;
    sum.stored += stored;
  }

  shares(): PartShares | undefined {
    if (this.#index.raw === 0) return undefined;
    const all = [...this.#data.values()];
    const raw = all.reduce((sum, table) => sum + table.raw, 0);
    const stored = all.reduce((sum, table) => sum + table.stored, 0);
    return {
      tables: new Map([...this.#data].map(([table, sum]) => [table, sum.stored / sum.raw])),
      data: stored / raw,
      index: this.#index.stored / this.#index.raw,
    };
  }
}
