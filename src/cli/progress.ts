/*
 * Progress of a copy on a terminal: one bar on stderr, which is gone when the copy ends. Where stderr
 * is no terminal, and with --json, nothing is shown.
 */
import { Presets, SingleBar } from 'cli-progress';
import type { CopyProgress } from '../engine/index.ts';
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

/** Calls with a listener that shows progress; what was shown goes when the call ends. */
export async function withProgress<T>(
  stream: ProgressStream,
  json: boolean | undefined,
  act: (show: { onProgress?: (progress: CopyProgress) => void }) => Promise<T>,
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
  bar.start(1, 0, { phase: '', done: '', all: '', rate: '' });
  try {
    return await act({
      onProgress: ({ phase, bytes, bytesTotal, bytesPerSecond }) => {
        bar.setTotal(Math.max(1, bytesTotal));
        const done = formatBytes(bytes);
        const all = formatBytes(bytesTotal);
        bar.update(bytes, { phase, done, all, rate: formatBytes(Math.round(bytesPerSecond)) });
      },
    });
  } finally {
    bar.stop();
  }
}
