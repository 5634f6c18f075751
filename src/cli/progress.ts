/*
 * Progress of long calls on a terminal: one bar on stderr, which is gone when the call ends. Where stderr
 * is no terminal, and with --json, nothing is shown.
 */
import { Presets, SingleBar } from 'cli-progress';
import { openReader, type Reader, type ReaderOptions, type RunProgress } from '../engine/index.ts';
import type { Output, TextStream } from './output.ts';
import { formatBytes } from './render.ts';

/** A stream that may be a terminal. */
export interface ProgressStream extends TextStream {
  readonly isTTY?: boolean;
}

/** Where verbs that show progress print to. */
export interface Streams {
  readonly output: Output;
  /** Of progress. */
  readonly stderr: ProgressStream;
}

/** From this many bytes on a reading is long enough for a bar. */
const shownBytesMin = 32 * 1024 * 1024;

/** Calls with a listener that shows progress; what was shown goes when the call ends. */
export async function withProgress<T>(
  stream: ProgressStream,
  json: boolean | undefined,
  act: (show: { onProgress?: (progress: RunProgress) => void }) => Promise<T>,
  bytesMin = 0,
): Promise<T> {
  if (stream.isTTY !== true || json === true) return act({});
  const bar = new SingleBar(
    {
      stream: stream as NodeJS.WriteStream,
      format: '{bar} {percentage}% | {phase} | {done} of {all} | {rate}/s',
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      fps: 10,
    },
    Presets.shades_classic,
  );
  let started = false;
  try {
    return await act({
      onProgress: ({ phase, bytes, bytesTotal, bytesPerSecond }) => {
        if (!started && bytesTotal < bytesMin) return;
        if (!started) bar.start(1, 0, { phase: '', done: '', all: '', rate: '' });
        started = true;
        bar.setTotal(Math.max(1, bytesTotal));
        const done = formatBytes(bytes);
        const all = formatBytes(bytesTotal);
        bar.update(bytes, { phase, done, all, rate: formatBytes(Math.round(bytesPerSecond)) });
      },
    });
  } finally {
    if (started) bar.stop();
  }
}

/** Opens a reader; where there is much to read, progress is shown. */
export function openShown(
  stream: ProgressStream,
  json: boolean | undefined,
  options: ReaderOptions,
): Promise<Reader> {
  const open = (show: Pick<ReaderOptions, 'onProgress'>): Promise<Reader> =>
    openReader({ ...options, ...show });
  return withProgress(stream, json, open, shownBytesMin);
}
