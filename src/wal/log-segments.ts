/*
 * The segments of the open log, oldest first, and which bytes of them hold a range of LSNs. Kept in
 * memory by the writer's side, so that a worker is handed exact byte ranges (C1) and never looks a
 * directory up itself.
 */
import { must } from '../std/assert.ts';
import type { SegmentFile } from './log-directory.ts';
import type { OpenedSegment } from './opening-segment.ts';
import type { LogSegment } from './log-output.ts';
import type { LogPosition, LogRange } from './log-position.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { Border } from './segment-scan.ts';

export class LogSegments {
  readonly #segments: LogSegment[] = [];

  constructor(older: readonly SegmentFile[], opened: OpenedSegment) {
    const { predecessor } = opened.header;
    const through = predecessor?.number ?? 0;
    for (const { header, path } of older.filter((file) => file.header.number <= through)) {
      const start = {
        offset: segmentHeaderBytes,
        lsn: header.firstLsn - 1,
        chain: header.chain,
      };
      this.#segments.push({ path, header, start, end: start });
    }
    const { header, path, start, end } = opened;
    this.#segments.push({ path, header, start, end });
    this.#fillEnds();
  }

  get all(): readonly LogSegment[] {
    return this.#segments;
  }

  /** The one that takes appends. */
  get newest(): LogSegment {
    return must(this.#segments.at(-1), 'the log has a segment');
  }

  /** The log went on in another segment. */
  rotated(sealed: LogSegment, next: LogSegment): void {
    this.newest.end = sealed.end;
    this.#segments.push(next);
  }

  /** Forgets the segments below a number: they were trimmed. The newest is never among them. */
  forgetBelow(number: number): void {
    while (this.#segments.length > 1 && this.#segments[0]!.header.number < number) {
      this.#segments.shift();
    }
  }

  /** The bytes behind `from` up to `to`. */
  ranges(from: LogPosition | undefined, to: LogPosition): LogRange[] {
    const ranges: LogRange[] = [];
    for (const { path, header, start, end } of this.#segments) {
      if (from && header.number < from.segment) continue;
      if (header.number > to.segment) break;
      const first: Border = from && header.number === from.segment ? from : start;
      const endOffset = header.number === to.segment ? to.offset : end.offset;
      if (endOffset <= first.offset) continue;
      ranges.push({
        path,
        salt: header.salt,
        start: first.offset,
        end: endOffset,
        firstLsn: first.lsn + 1,
        chain: first.chain,
      });
    }
    return ranges;
  }

  /** Segments end where their successors say. */
  #fillEnds(): void {
    for (let i = 0; i + 1 < this.#segments.length; i++) {
      const next = this.#segments[i + 1]!.header;
      const { predecessor, chain } = next;
      if (!predecessor) continue;
      this.#segments[i]!.end = { offset: predecessor.end, lsn: predecessor.lastLsn, chain };
    }
  }
}
