/*
 * `tidemark tune DIR`: what other settings would come to for a store, and which are recommended.
 */
import { writeFileSync } from 'node:fs';
import { InvalidArgumentError as BadArgument } from 'commander';
import { tuneStore, type TriedSettings, type TuneReport } from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { formatBytes, toJson } from './render.ts';
import { tuningPage } from './tune-page.ts';
import { row, rowHeadings } from './tune-row.ts';

/** Options of the verb. */
export interface TuneVerbOptions extends CommonOptions {
  readonly recording?: string;
  readonly restoreSeconds?: number;
  /** Bytes. */
  readonly storage?: number;
  /** Milliseconds. */
  readonly window?: number;
  /** File for the charts. */
  readonly html?: string;
  /** Settings to show. */
  readonly top?: number;
}

const SHOWN = 12;

export async function tune(output: Output, dir: string, options: TuneVerbOptions): Promise<number> {
  const { recording, restoreSeconds, storage, window, html, top = SHOWN } = options;
  // Before the work: a page that cannot be made is told at once.
  const page = html === undefined ? undefined : tuningPage();
  const report = await tuneStore({
    dir,
    ...storeOf(options),
    ...(recording === undefined ? {} : { recording }),
    ...(restoreSeconds === undefined ? {} : { restoreSecondsMax: restoreSeconds }),
    ...(storage === undefined ? {} : { storageBytesMax: storage }),
    ...(window === undefined ? {} : { windowMs: window }),
  });
  if (html !== undefined && page) writeFileSync(html, page(report));
  if (options.json) await output.line(toJson(reportToJson(report)));
  else await print(output, report, { top, html });
  return report.reachable ? status.fine : status.found;
}

/** Numbers and names of what was tried, without what was measured of each table. */
function reportToJson(report: TuneReport): Record<string, unknown> {
  const { dir, source, codecs, measuredRates, reachable, options, notes, tried } = report;
  const shown = ({ settings, outcome, excess }: TriedSettings): object => ({
    checkpointing: settings.triggers,
    policy: settings.policy,
    retention: settings.retention,
    compression: { codec: settings.codec.codec, level: settings.codec.level },
    outcome,
    excess,
  });
  return {
    dir,
    source,
    codecs,
    measuredRates,
    reachable,
    options,
    notes,
    recommended: shown(report.recommended),
    tried: tried.map(shown),
  };
}

async function print(
  output: Output,
  report: TuneReport,
  { top, html }: { readonly top: number; readonly html: string | undefined },
): Promise<void> {
  const { source, codecs, tried, options, notes, reachable } = report;
  const { kind, commits, entries, logBytes, milliseconds, keys } = source;
  const from = kind === 'log' ? 'the log that is kept' : 'a recording';
  await output.line(
    `workload    ${from}: ${commits} commits, ${entries} entries, ${formatBytes(logBytes)} of log ` +
      `in ${(milliseconds / 1000).toFixed(1)} s; ${keys} keys followed`,
  );
  await output.line();
  await output.table(
    ['codec', 'base', 'delta', 'packs', 'unpacks'],
    codecs.map(
      ({ codec, level, baseShare, deltaShare, packBytesPerSecond, unpackBytesPerSecond }) => [
        level === undefined ? codec : `${codec} ${level}`,
        percent(baseShare),
        percent(deltaShare),
        `${formatBytes(Math.round(packBytesPerSecond))}/s`,
        `${formatBytes(Math.round(unpackBytesPerSecond))}/s`,
      ],
    ),
  );
  await output.line();
  await output.table(rowHeadings, tried.slice(0, top).map(row));
  await output.line();
  for (const note of notes) await output.line(`note: ${note}`);
  await output.line(reachable ? 'recommended:' : 'nearest to what was wished for:');
  await output.line(JSON.stringify(options));
  if (html !== undefined) await output.line(`charts      ${html}`);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Bytes of a text such as 500MB, 20GiB, 1048576. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$/.exec(text);
  const units = { B: 0, KB: 1, MB: 2, GB: 3, TB: 4, KiB: 1, MiB: 2, GiB: 3, TiB: 4 } as const;
  const unit = (match?.[2] ?? 'B') as keyof typeof units;
  const bytes = Number(match?.[1]) * (unit.includes('i') ? 1024 : 1000) ** units[unit];
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new BadArgument('It must be bytes, such as 1048576, 500MB or 20GiB.');
}

/** Seconds of a text such as 2 or 0.5. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && Number.isFinite(seconds) && seconds > 0) return seconds;
  throw new BadArgument('It must be a number of seconds above 0.');
}
