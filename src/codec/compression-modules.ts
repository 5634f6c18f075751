/*
 * Codecs of users: modules that code registers under a name, so that the same module can be loaded
 * in worker threads. Files name codecs and never modules: opening a store runs no code that the
 * store names. A name stands for one module in the whole process, since it stands for one format in
 * files; each thread imports the module for itself.
 *
 * A user's code is held at arm's length: it is given copies, what it returns is copied, and what it
 * compressed is decompressed and compared before it counts. So a codec that lies is an error of the
 * write, never a bad file.
 */
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { IncompatibleError, InvalidArgumentError } from '../errors.ts';
import { damaged, type CodecFunctions } from './compression-native.ts';
import { isBuiltIn } from './compression.ts';

/** A codec of the user's own. */
export interface CodecModule {
  /** As files name it: 1 to 64 of a to z, 0 to 9, dot, dash and underscore. */
  readonly name: string;
  /**
   * Module that exports `compress(bytes)` and `decompress(bytes, rawBytes)`, both synchronous, from
   * and to `Uint8Array`: an absolute URL, or a path, relative to the working directory.
   */
  readonly module: URL | string;
}

/** A registered codec, as it is sent to a thread. */
export interface RegisteredCodec {
  readonly name: string;
  readonly module: string;
}

interface UserModule {
  readonly compress: (bytes: Uint8Array) => unknown;
  readonly decompress: (bytes: Uint8Array, rawBytes: number) => unknown;
}

interface Registered {
  readonly module: string;
  readonly functions: CodecFunctions;
}

const registered = new Map<string, Registered>();
const NAME = /^[a-z0-9._-]{1,64}$/;

/**
 * Imports and registers codecs, for the process from here on: what the option `codecs` does, for
 * calls that have none (`inspectStore`, `verifyStore`).
 *
 * @throws InvalidArgumentError INVALID_OPTION for a name that cannot be, that stands for another
 *   module already, and for a module that cannot be imported or lacks a function
 */
export async function registerCodecs(codecs: readonly CodecModule[]): Promise<void> {
  for (const [i, codec] of checkCodecs(codecs).entries()) {
    const { name, module } = codec;
    const option = `codecs[${i}].module`;
    const functions = userFunctions(name, await importModule(codec, option));
    checkNotTaken(codec, option);
    registered.set(name, { module, functions });
  }
}

/** Checks codecs that are to be registered; their modules as absolute URLs. */
export function checkCodecs(codecs: unknown): RegisteredCodec[] {
  if (!Array.isArray(codecs)) {
    throw refused('codecs', 'must be a list of { name, module }');
  }
  const checked = codecs.map((codec: unknown, i): RegisteredCodec => {
    const at = `codecs[${i}]`;
    if (typeof codec !== 'object' || codec === null) {
      throw refused(at, 'must be { name, module }');
    }
    for (const key of Object.keys(codec)) {
      if (key === 'name' || key === 'module') continue;
      throw refused(`${at}.${key}`, 'is unknown');
    }
    const { name, module } = codec as Record<string, unknown>;
    if (typeof name !== 'string' || !NAME.test(name)) {
      const form = '1 to 64 of a to z, 0 to 9, dot, dash and underscore';
      throw refused(`${at}.name`, `must be ${form}`);
    }
    if (isBuiltIn(name)) throw refused(`${at}.name`, `is that of a built-in codec: ${name}`);
    const url = moduleUrl(module);
    const option = `${at}.module`;
    if (url === undefined) throw refused(option, 'must be a URL or the path of a module');
    checkNotTaken({ name, module: url }, option);
    return { name, module: url };
  });
  checked.forEach(({ name }, i) => {
    const first = checked.findIndex((codec) => codec.name === name);
    if (first < i) throw refused(`codecs[${i}].name`, `is that of codecs[${first}]: ${name}`);
  });
  return checked;
}

/** What is registered in this thread, for another one. */
export function registeredCodecs(): RegisteredCodec[] {
  return [...registered].map(([name, { module }]) => ({ name, module }));
}

/** Whether a codec of that name is registered in this thread. */
export function isRegistered(name: string): boolean {
  return registered.has(name);
}

/** @throws IncompatibleError CODEC_UNAVAILABLE when no codec of that name is registered */
export function registeredCodec(name: string): CodecFunctions {
  const known = registered.get(name);
  if (known) return known.functions;
  throw new IncompatibleError(
    'CODEC_UNAVAILABLE',
    `the codec ${name} is not registered: give its module in the option codecs, ` +
      `or --codec-module ${name}=PATH on the command line`,
    { codec: name },
  );
}

function moduleUrl(module: unknown): string | undefined {
  if (module instanceof URL) return module.href;
  if (typeof module !== 'string' || module === '') return undefined;
  if (module.startsWith('file:') && URL.canParse(module)) return new URL(module).href;
  return pathToFileURL(isAbsolute(module) ? module : resolve(module)).href;
}

async function importModule(
  { name, module }: RegisteredCodec,
  option: string,
): Promise<UserModule> {
  let imported: Partial<UserModule>;
  try {
    imported = (await import(module)) as Partial<UserModule>;
  } catch (error) {
    throw refused(option, `of codec ${name} cannot be imported: ${module}`, error);
  }
  const { compress, decompress } = imported;
  if (typeof compress !== 'function' || typeof decompress !== 'function') {
    throw refused(option, `of codec ${name} must export compress and decompress: ${module}`);
  }
  return { compress, decompress };
}

function checkNotTaken({ name, module }: RegisteredCodec, option: string): void {
  const other = registered.get(name);
  if (!other || other.module === module) return;
  throw refused(option, `is not that with which codec ${name} is registered: ${other.module}`);
}

function userFunctions(name: string, module: UserModule): CodecFunctions {
  const decompressInto = (source: Uint8Array, target: Uint8Array): void => {
    let bytes: unknown;
    try {
      bytes = module.decompress(Uint8Array.from(source), target.length);
    } catch (error) {
      throw damaged(name, target.length, undefined, error);
    }
    if (!(bytes instanceof Uint8Array)) throw damaged(name, target.length, undefined);
    if (bytes.length !== target.length) throw damaged(name, target.length, bytes.length);
    target.set(bytes);
  };
  const compress = (source: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(source);
    let bytes: unknown;
    try {
      bytes = module.compress(copy);
    } catch (error) {
      throw failed(name, 'threw while it compressed a block', error);
    }
    if (!(bytes instanceof Uint8Array)) throw failed(name, 'returned no Uint8Array');
    // A copy: the codec may use its memory again for the next block.
    const stored = Uint8Array.from(bytes);
    checkReturns(name, source, stored, decompressInto);
    return stored;
  };
  return { compress, decompressInto };
}

function checkReturns(
  name: string,
  source: Uint8Array,
  stored: Uint8Array,
  decompressInto: CodecFunctions['decompressInto'],
): void {
  const back = new Uint8Array(source.length);
  try {
    decompressInto(stored, back);
  } catch (error) {
    throw failed(name, 'does not decompress what it compressed', error);
  }
  if (Buffer.compare(back, source) === 0) return;
  throw failed(name, 'decompresses to other bytes than it compressed');
}

function failed(codec: string, why: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError('CODEC_FAILED', `the codec ${codec} ${why}`, { codec }, cause);
}

function refused(option: string, why: string, cause?: unknown): InvalidArgumentError {
  const message = `option ${option} ${why}`;
  return new InvalidArgumentError('INVALID_OPTION', message, { option }, cause);
}
