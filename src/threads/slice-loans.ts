/*
 * The input slices of a merge in ranges. Those of an image are lent as they are; those of a file are
 * loaded by a worker when the first range needs them, shared by the ranges that do, and released with
 * the last of these. An input may count in some ranges only, under other numbers of its tables: neither
 * touches a byte of it.
 */
import { CorruptionError } from '../errors.ts';
import {
  countOverlapping,
  isBefore,
  overlapping,
  overlaps,
  type MergeRange,
  type SliceSpan,
} from '../snapshot/merge-ranges.ts';
import type { SlabPool } from '../snapshot/slab-pool.ts';
import type { SliceDescriptor } from '../snapshot/slice.ts';
import type { TaskPool } from './task-pool.ts';

/** What of an input counts; all of it unless it is said. */
export interface SourceShare {
  /** In order; the input has no part in ranges outside of these. */
  readonly only?: readonly MergeRange[];
  /** Numbers that its tables have in the output; those that are not named keep theirs. */
  readonly tables?: ReadonlyMap<number, number>;
}

/** An input of a merge: an image, which the caller retains, or a file. */
export type MergeSource = SourceShare &
  (
    | { readonly slices: readonly SliceDescriptor[] }
    | { readonly path: string; readonly sha256?: string; readonly bytes?: number }
  );

interface Loan {
  readonly span: SliceSpan;
  readonly index: number;
  /** Ranges that still need it. */
  users: number;
  loading: Promise<SliceDescriptor> | undefined;
}

interface OpenSource {
  readonly source: MergeSource;
  readonly loans: readonly Loan[];
}

export class SliceLoans {
  readonly #pool: TaskPool;
  readonly #sources: readonly MergeSource[];
  readonly #slabs: SlabPool;
  #open: readonly OpenSource[] = [];

  constructor(pool: TaskPool, sources: readonly MergeSource[], slabs: SlabPool) {
    this.#pool = pool;
    this.#sources = sources;
    this.#slabs = slabs;
  }

  /** Finds out where the slices of every source stand. */
  async open(): Promise<readonly (readonly SliceSpan[])[]> {
    this.#open = await Promise.all(
      this.#sources.map(async (source) => {
        const spans = 'slices' in source ? source.slices : await this.#recordsOf(source);
        const loans = spans.map((span, index) => {
          return { span: renumbered(span, source), index, users: 0, loading: undefined };
        });
        if (source.tables) loans.sort((a, b) => a.span.table - b.span.table || a.index - b.index);
        return { source, loans };
      }),
    );
    return this.#open.map(({ loans, source: { only } }) => {
      const spans = loans.map(({ span }) => span);
      return only ? spans.filter((span) => only.some((part) => overlaps(span, part))) : spans;
    });
  }

  /** Counts how many ranges need each slice; they are in order and do not overlap. */
  count(ranges: readonly MergeRange[]): void {
    for (const { loans, source } of this.#open) {
      const shared = source.only ? ranges.filter((range) => hasPart(source, range)) : ranges;
      for (const loan of loans) loan.users = countOverlapping(shared, loan.span);
    }
  }

  /** The slices of each source that a range needs; to be given back. */
  take(range: MergeRange, signal: AbortSignal): Promise<(readonly SliceDescriptor[])[]> {
    return Promise.all(
      this.#open.map(async ({ source, loans }) => {
        if (!hasPart(source, range)) return [];
        const needed = overlapping(loans, range, spanOf);
        if ('slices' in source) {
          return needed.map(({ index }) => renumbered(source.slices[index]!, source));
        }
        return Promise.all(needed.map((loan) => this.#load(source, loan, signal)));
      }),
    );
  }

  /** A range is done with its slices. */
  giveBack(range: MergeRange): void {
    for (const { loans, source } of this.#open) {
      if (!hasPart(source, range)) continue;
      for (const loan of overlapping(loans, range, spanOf)) {
        loan.users--;
        if (loan.users === 0) this.#release(loan);
      }
    }
  }

  /** Gives up whatever is still lent; nobody reads it any more. */
  async close(): Promise<void> {
    const loans = this.#open.flatMap((source) => source.loans);
    await Promise.allSettled(loans.map(async (loan) => loan.loading));
    for (const loan of loans) this.#release(loan);
  }

  async #recordsOf(source: Extract<MergeSource, { path: string }>): Promise<readonly SliceSpan[]> {
    const { path, sha256, bytes } = source;
    const output = await this.#pool.run('loadSnapshot', {
      path,
      sha256,
      sliceIndexes: [],
      ...(bytes === undefined ? {} : { bytes }),
    });
    return output.records;
  }

  #load(
    source: Extract<MergeSource, { path: string }>,
    loan: Loan,
    signal: AbortSignal,
  ): Promise<SliceDescriptor> {
    const { path } = source;
    loan.loading ??= this.#pool
      .run(
        'loadSnapshot',
        { path, sliceIndexes: [loan.index], spareSlabs: this.#slabs.drain() },
        signal,
      )
      .then(({ slices, spareSlabs }) => {
        for (const slab of spareSlabs) this.#slabs.release(slab);
        const [slice] = slices;
        if (slice) return renumbered(slice, source);
        throw new CorruptionError('CORRUPT_SNAPSHOT', `snapshot has lost a slice: ${path}`, {
          path,
        });
      });
    return loan.loading;
  }

  #release(loan: Loan): void {
    const { loading } = loan;
    loan.loading = undefined;
    // One that failed to load holds nothing.
    void loading?.then(({ buffer }) => this.#slabs.release(buffer)).catch(() => {});
  }
}

/** Whether an input takes part in a range; the borders of its parts are borders of ranges. */
function hasPart({ only }: SourceShare, { from, to }: MergeRange): boolean {
  if (!only) return true;
  return only.some((part) => !isBefore(from, part.from) && !isBefore(part.to, to));
}

function spanOf({ span }: Loan): SliceSpan {
  return span;
}

function renumbered<Span extends SliceSpan>(span: Span, { tables }: SourceShare): Span {
  const table = tables?.get(span.table) ?? span.table;
  return table === span.table ? span : { ...span, table };
}
