/*
 * What an engine runs on, beside its settings: given by the package itself, or by a program that tries
 * an engine on a simulated file system. What is missing there is told before anything is done.
 */
import type { ResourceLimits } from 'node:worker_threads';
import type { FileSystem } from '../fs/file-system.ts';
import type { Clock } from '../std/clock.ts';
import { badOption, objectOnly, wholeNumber } from '../std/option-checks.ts';
import type { Random } from '../std/random.ts';

/** What an engine runs on, beside its settings. */
export interface EngineComponents {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether workers are threads; else tasks run inline over `fs`. */
  readonly threads: boolean;
  /** Threads that work beside the open engine. @defaultValue the machine's parallelism less one */
  readonly backgroundThreads?: number;
  /** Memory that each thread may have. @defaultValue that of Node */
  readonly threadLimits?: ResourceLimits;
  /** How a task that runs inline lets others go on. @defaultValue turns of the event loop */
  readonly yieldNow?: () => Promise<void>;
}

const fsCalls: readonly (keyof FileSystem)[] = [
  'open',
  'list',
  'makeDirectory',
  'rename',
  'link',
  'unlink',
  'stat',
  'syncDirectory',
  'lock',
  'freeBytes',
];
const clockCalls: readonly (keyof Clock)[] = ['nowMicros', 'monotonicMs', 'setTimer'];
const randomCalls: readonly (keyof Random)[] = ['fill'];

/** @throws InvalidArgumentError INVALID_OPTION, for what is missing or is something else */
export function checkComponents(components: EngineComponents): EngineComponents {
  const path = 'components';
  objectOnly(components, path);
  const { fs, clock, random, threads, backgroundThreads, threadLimits, yieldNow } = components;
  hasCalls(`${path}.fs`, fs, fsCalls);
  hasCalls(`${path}.clock`, clock, clockCalls);
  hasCalls(`${path}.random`, random, randomCalls);
  if (typeof threads !== 'boolean') {
    throw badOption(`${path}.threads`, 'must be true or false', threads);
  }
  if (backgroundThreads !== undefined) {
    wholeNumber(`${path}.backgroundThreads`, backgroundThreads, 1);
  }
  if (threadLimits !== undefined) objectOnly(threadLimits, `${path}.threadLimits`);
  if (yieldNow !== undefined && typeof yieldNow !== 'function') {
    throw badOption(`${path}.yieldNow`, 'must be a function', yieldNow);
  }
  return components;
}

/** An injected object is told by what it can do. */
export function hasCalls(name: string, value: unknown, calls: readonly string[]): void {
  const given = (typeof value === 'object' ? value : undefined) as Record<string, unknown> | null;
  if (given && calls.every((call) => typeof given[call] === 'function')) return;
  throw badOption(name, `must be an object with the functions ${calls.join(', ')}`, value);
}
