/*
 * Settings that were tried and what they come to, as one line of a table.
 */
import type { TriedSettings } from '../engine/index.ts';
import { formatBytes } from './render.ts';

export const rowHeadings: readonly string[] = [
  'checkpoint each',
  'chain',
  'codec',
  'kept',
  'budget',
  'restore, worst',
  'median',
  'stored',
  'writes',
];

/** Cells under these headings. */
export function row({ settings, outcome }: TriedSettings): string[] {
  const { policy, codec, retention } = settings;
  const { restoreSeconds, storedBytes, writeAmplification } = outcome;
  return [
    intervalOf(settings),
    String(policy.maxChainLength),
    codec.level === undefined ? codec.codec : `${codec.codec} ${codec.level}`,
    retention ? String(retention.checkpoints) : 'all',
    policy.restoreSecondsMax === undefined ? '' : `${policy.restoreSecondsMax} s`,
    `${restoreSeconds.worst.toFixed(3)} s`,
    `${restoreSeconds.median.toFixed(3)} s`,
    formatBytes(Math.round(storedBytes.worst)),
    `${writeAmplification.toFixed(2)} x`,
  ];
}

function intervalOf({ triggers }: TriedSettings['settings']): string {
  const { entries, commits, logBytes, intervalMs } = triggers;
  return [
    ...(entries === undefined ? [] : [`${entries} entries`]),
    ...(commits === undefined ? [] : [`${commits} commits`]),
    ...(logBytes === undefined ? [] : [formatBytes(logBytes)]),
    ...(intervalMs === undefined ? [] : [`${intervalMs / 1000} s`]),
  ].join(' or ');
}
