/*
 * The input: three million flights of the United States, January to June 2001, in the order of their
 * departure, from the package vega-datasets. The file has eleven row groups, each column of a group
 * one compressed page, so a row group is the least that can be decoded: reading starts at the group
 * that holds the asked row, and what stands before that row in it is skipped.
 */
import { fileURLToPath } from 'node:url';

import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetScan,
  type AsyncBuffer,
  type DecodedArray,
  type FileMetaData,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

/** Rows of one row group by column; the row at index i is row `start + i` of the file. */
export interface FlightBatch {
  readonly start: number;
  /** The first row that was asked for, counted in the file. */
  readonly from: number;
  /** The row behind the last one that was asked for. */
  readonly to: number;
  /** Departure, in milliseconds since 1970; local time taken as UTC. */
  readonly dates: Float64Array;
  /** Minutes; negative when early. */
  readonly delays: Int32Array;
  /** Miles. */
  readonly distances: Int32Array;
  readonly origins: readonly string[];
  readonly destinations: readonly string[];
}

/** The file of flights, opened. */
export interface Flights {
  /** Rows of the whole file. */
  readonly rows: number;
  /** Reads the rows from `from` up to but not including `to`, one batch a row group. */
  read(from: number, to: number): AsyncGenerator<FlightBatch>;
}

/** Opens the file of flights of the installed package. */
export async function openFlights(): Promise<Flights> {
  // The package exports its module only; the data stand beside the folder of that module.
  const module = import.meta.resolve('vega-datasets');
  const file = await asyncBufferFromFile(
    fileURLToPath(new URL('../data/flights-3m.parquet', module)),
  );
  const metadata = await parquetMetadataAsync(file);
  return {
    rows: Number(metadata.num_rows),
    read: (from, to) => readBatches(file, metadata, from, to),
  };
}

const dayMs = 86_400_000;
const days = new Map<number, string>();

/** The day of a moment, such as 2001-01-31. */
export function dayOf(at: number): string {
  const number = Math.floor(at / dayMs);
  let day = days.get(number);
  if (day === undefined) {
    day = new Date(number * dayMs).toISOString().slice(0, 10);
    days.set(number, day);
  }
  return day;
}

async function* readBatches(
  file: AsyncBuffer,
  metadata: FileMetaData,
  from: number,
  to: number,
): AsyncGenerator<FlightBatch> {
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    const wanted = { from: Math.max(from, start), to: Math.min(to, end) };
    if (wanted.from < wanted.to) {
      yield { start, ...wanted, ...(await readGroup(file, metadata, start, end)) };
    }
    start = end;
  }
}

type Columns = Omit<FlightBatch, 'start' | 'from' | 'to'>;

async function readGroup(
  file: AsyncBuffer,
  metadata: FileMetaData,
  rowStart: number,
  rowEnd: number,
): Promise<Columns> {
  const parsers = { timestampFromMicroseconds: (micros: bigint) => Number(micros / 1000n) };
  const options = { file, metadata, compressors, parsers, rowStart, rowEnd };
  const scan = await parquetScan({ ...options, useOffsetIndex: false });
  const read = (column: string): Promise<DecodedArray> =>
    scan.readColumn({ column, rowStart, rowEnd });
  return {
    dates: numbers('date', await read('date'), new Float64Array(rowEnd - rowStart)),
    delays: numbers('delay', await read('delay'), new Int32Array(rowEnd - rowStart)),
    distances: numbers('distance', await read('distance'), new Int32Array(rowEnd - rowStart)),
    origins: texts('origin', await read('origin'), rowEnd - rowStart),
    destinations: texts('destination', await read('destination'), rowEnd - rowStart),
  };
}

/** Copies a column of numbers or 64-bit integers; a value that would change is refused. */
function numbers<T extends Float64Array | Int32Array>(
  name: string,
  column: DecodedArray,
  target: T,
): T {
  checkLength(name, column, target.length);
  for (let index = 0; index < target.length; index++) {
    const value: unknown = column[index];
    const number = typeof value === 'bigint' ? Number(value) : value;
    target[index] = number as number;
    if (target[index] !== number) {
      throw new Error(`column ${name} of the flights has an unexpected value: ${String(value)}`);
    }
  }
  return target;
}

function texts(name: string, column: DecodedArray, length: number): readonly string[] {
  checkLength(name, column, length);
  const values = column as readonly unknown[];
  const odd = values.findIndex((value) => typeof value !== 'string');
  if (odd >= 0) {
    throw new Error(
      `column ${name} of the flights has an unexpected value: ${String(values[odd])}`,
    );
  }
  return values as readonly string[];
}

function checkLength(name: string, column: DecodedArray, length: number): void {
  if (column.length === length) return;
  throw new Error(`column ${name} of the flights has ${column.length} rows instead of ${length}`);
}
