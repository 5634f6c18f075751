/*
 * What all verbs share: options, exit statuses, and where to read from.
 */
import { InvalidArgumentError as BadArgument } from 'commander';
import {
  createStore,
  InvalidArgumentError,
  registerCodecs,
  type ObjectStore,
  parseTarget,
  type Target,
} from '../engine/index.ts';

/** Options of every verb. */
export interface CommonOptions {
  readonly json?: boolean;
  /** Directory of the snapshots and checkpoint records, when it is not DIR. */
  readonly store?: string;
  /** `NAME=PATH` of codecs that the store was written with. */
  readonly codecModule?: readonly string[];
}

/** The options that name a moment. */
export interface AtOptions {
  readonly at?: string;
  readonly timeline?: number;
}

/** The moment that `--at` and `--timeline` name. */
export function atOf({ at, timeline }: AtOptions): { at?: Target } {
  const target = targetOf(at, timeline);
  return target === undefined ? {} : { at: target };
}

/** A moment in text, of a timeline that may be named. */
export function targetOf(text: string | undefined, timeline?: number): Target | undefined {
  const target = text === undefined ? undefined : parseTarget(text);
  if (timeline === undefined) return target;
  return target === undefined || target === 'latest' ? { timeline } : { ...target, timeline };
}

export const timelineHelp = 'of this timeline (default: the current one)';

/** Exit statuses. */
export const status = { fine: 0, found: 1, failed: 2 } as const;

/** Registers the codecs that `--codec-module` names. */
export async function registerCodecModules({ codecModule = [] }: CommonOptions): Promise<void> {
  const codecs = codecModule.map((text) => {
    const at = text.indexOf('=');
    if (at > 0) return { name: text.slice(0, at), module: text.slice(at + 1) };
    throw new InvalidArgumentError('INVALID_OPTION', `--codec-module takes NAME=PATH: ${text}`, {
      option: 'codec-module',
    });
  });
  await registerCodecs(codecs);
}

/** The store that `--store` names. */
export function storeOf({ store }: CommonOptions): { store?: ObjectStore } {
  return store === undefined ? {} : { store: createStore({ kind: 'file', path: store }) };
}

/** A whole number of the command line. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new BadArgument(`It must be a whole number up to ${Number.MAX_SAFE_INTEGER}.`);
}
