/*
 * Faults of a simulated file system: which calls they strike, and what they do to them. They are
 * asked in the order in which they were given; every one that strikes does its part, and the first
 * error is that of the call.
 */
import { systemError, systemErrorCodes, type SystemErrorCode } from '../fs/system-error.ts';
import { badOption, knownOnly, oneOf, wholeNumber } from '../std/option-checks.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Calls of the seam `FileSystem` and of its handles. */
export const fileCalls = [
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
  'read',
  'readNow',
  'write',
  'sync',
  'size',
  'truncate',
  'close',
] as const;

/** Name of a call. */
export type FileCallName = (typeof fileCalls)[number];

/** One call, told before it is done. */
export interface FileCall {
  readonly call: FileCallName;
  /** For a rename or link, the new name; for a handle, the newest name of its file. */
  readonly path: string;
  /** For a rename or link: the old name. */
  readonly from?: string;
  /** For a read or write. */
  readonly position?: number;
  /** For a read, write or truncate. */
  readonly bytes?: number;
}

/** What strikes, and how. A fault that names no calls strikes every one. */
export interface Fault {
  /** By this name it is healed and counted. @defaultValue none */
  readonly name?: string;
  readonly call?: FileCallName | readonly FileCallName[];
  /** A path, or a pattern that it has to match. */
  readonly path?: string | RegExp;
  /** Strikes the nth call that matches, from 1, and no other; so not with `from` or `every`. */
  readonly nth?: number;
  /** Strikes the nth call that matches and each one behind it. */
  readonly from?: number;
  /** Strikes each so-manyth call that matches. */
  readonly every?: number;
  /** Strikes with this chance, from 0 to 1, drawn from the seed. */
  readonly probability?: number;
  /** Strikes at most so many times. @defaultValue no bound */
  readonly times?: number;
  /** The call fails with this error of the operating system. */
  readonly error?: SystemErrorCode;
  /** The call does its work before it fails. @defaultValue false */
  readonly afterwards?: boolean;
  /**
   * A write has written so many bytes before it fails; a read gives so many at most, as if the file
   * ended there.
   */
  readonly bytes?: number;
  /**
   * What a failed sync leaves: `clean`: nothing that it was about reaches the disk by a later sync,
   * as on Linux; `dirty`: a later sync makes up for it. @defaultValue 'clean'
   */
  readonly pages?: 'clean' | 'dirty';
  /** Milliseconds, by the clock of the file system, before the call is done. */
  readonly delayMs?: number;
  /** Runs before the call is done and is waited for; what it throws, the call fails with. */
  readonly act?: (call: FileCall) => unknown;
}

/** A fault in force. */
export interface Injected {
  /** How often it has struck. */
  readonly struck: number;
  /** Ends it. */
  heal(): void;
}

const known: readonly (keyof Fault)[] = [
  'name',
  'call',
  'path',
  'nth',
  'from',
  'every',
  'probability',
  'times',
  'error',
  'afterwards',
  'bytes',
  'pages',
  'delayMs',
  'act',
];

class ActiveFault implements Injected {
  readonly fault: Fault;
  readonly #calls: readonly FileCallName[];
  readonly #end: (fault: ActiveFault) => void;
  #matched = 0;
  struck = 0;

  constructor(fault: Fault, end: (fault: ActiveFault) => void) {
    this.fault = fault;
    const { call = [] } = fault;
    this.#calls = typeof call === 'string' ? [call] : call;
    this.#end = end;
  }

  heal(): void {
    this.#end(this);
  }

  strikes(call: FileCall, random: SeededRandom): boolean {
    const { path, times = Number.POSITIVE_INFINITY } = this.fault;
    if (this.#calls.length > 0 && !this.#calls.includes(call.call)) return false;
    if (typeof path === 'string' ? call.path !== path : path && !path.test(call.path)) return false;
    this.#matched++;
    if (this.struck >= times || !this.#isDue(random)) return false;
    this.struck++;
    return true;
  }

  #isDue(random: SeededRandom): boolean {
    const { nth, from, every, probability } = this.fault;
    if (nth !== undefined && this.#matched !== nth) return false;
    if (from !== undefined && this.#matched < from) return false;
    if (every !== undefined && this.#matched % every !== 0) return false;
    return probability === undefined || random.below(1_000_000) < probability * 1_000_000;
  }
}

/** The faults of a file system. */
export class Faults {
  readonly #random: SeededRandom;
  #active: ActiveFault[] = [];
  /** Of faults in force, and of those that have ended. */
  readonly #names = new Set<string>();

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  inject(fault: Fault): Injected {
    checkFault(fault);
    const active = new ActiveFault(fault, (ended) => {
      this.#active = this.#active.filter((one) => one !== ended);
    });
    this.#active.push(active);
    if (fault.name !== undefined) this.#names.add(fault.name);
    return active;
  }

  /** Ends the faults of a name, or all. */
  heal(name?: string): void {
    if (name !== undefined && !this.#names.has(name)) {
      const names = [...this.#names];
      const known = names.length === 0 ? 'no fault had one' : `there were ${names.join(', ')}`;
      throw badOption('name', `is that of no fault, ${known}`, name);
    }
    this.#active = this.#active.filter(({ fault }) => name !== undefined && fault.name !== name);
  }

  /** Those that strike a call. */
  striking(call: FileCall): Fault[] {
    if (this.#active.length === 0) return [];
    const striking = this.#active.filter((active) => active.strikes(call, this.#random));
    return striking.map(({ fault }) => fault);
  }
}

/** The error of a fault, as the operating system gives it. */
export function faultError({ error }: Fault, { call, path }: FileCall): Error | undefined {
  return error && systemError(error, call, path);
}

/** A fault that could never strike, or whose effect would be none, is a mistake in a test. */
function checkFault(fault: Fault): void {
  knownOnly(fault, known, 'fault');
  for (const name of ['nth', 'from', 'every', 'times'] as const) {
    if (fault[name] !== undefined) wholeNumber(name, fault[name], 1);
  }
  const { name, probability, path, call, error, act, delayMs, bytes, pages, afterwards } = fault;
  if (fault.nth !== undefined && (fault.from !== undefined || fault.every !== undefined)) {
    throw badOption('nth', 'cannot be with from or every', fault.nth);
  }
  if (name !== undefined && typeof name !== 'string') throw badOption('name', 'must be text', name);
  if (probability !== undefined && !(probability >= 0 && probability <= 1)) {
    throw badOption('probability', 'must be from 0 to 1', probability);
  }
  if (path !== undefined && typeof path !== 'string' && !(path instanceof RegExp)) {
    throw badOption('path', 'must be a path or a pattern', path);
  }
  if (path instanceof RegExp && (path.global || path.sticky)) {
    const why = 'must not be a pattern with the flag g or y, which remembers where it was';
    throw badOption('path', why, path);
  }
  for (const each of call === undefined ? [] : [call].flat()) oneOf('call', each, fileCalls);
  if (error !== undefined) oneOf('error', error, systemErrorCodes);
  if (pages !== undefined) oneOf('pages', pages, ['clean', 'dirty']);
  if (afterwards !== undefined && typeof afterwards !== 'boolean') {
    throw badOption('afterwards', 'must be true or false', afterwards);
  }
  if (bytes !== undefined) wholeNumber('bytes', bytes, 0);
  if (delayMs !== undefined && !(Number.isFinite(delayMs) && delayMs >= 0)) {
    throw badOption('delayMs', 'must be a number from 0', delayMs);
  }
  if (act !== undefined && typeof act !== 'function') {
    throw badOption('act', 'must be a function', act);
  }
  if (error === undefined && act === undefined && delayMs === undefined && bytes === undefined) {
    const why = 'is needed, or act, delayMs or bytes: this fault would do nothing';
    throw badOption('error', why, undefined);
  }
}
