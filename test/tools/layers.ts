/*
 * The import rules of `src/`, as functions of a path and a text. An import may only point down the
 * list of layers; the command line and the demo see the public API and nothing else; files, time and
 * timers are reached through their seams. Every form that names a module is read: import, export
 * from, import(), import types, require and `new URL('./x', import.meta.url)`.
 */
import { posix } from 'node:path';

/** Layers from the bottom up; a file imports from its own layer and from those before it. */
export const layers: readonly string[] = [
  'std',
  'codec',
  'fs',
  'store',
  'wal',
  'snapshot',
  'threads',
  'state',
  'checkpoint',
  'recovery',
  'engine',
];

/** Folders that stand beside the layers, and what each may import besides its own files. */
const besides: Readonly<Record<string, readonly string[]>> = {
  cli: ['engine/index.ts', 'wal/log.ts', 'checkpoint/library/snapshot-library.ts', 'errors.ts'],
  demo: ['engine/index.ts', 'wal/log.ts', 'errors.ts'],
  testing: ['std/', 'fs/', 'store/', 'engine/open-engine.ts', 'errors.ts'],
};

/** Modules of Node that only their seams may import. */
const seams: readonly { readonly module: RegExp; readonly allowed: readonly string[] }[] = [
  { module: /^(?:node:)?fs(?:\/promises)?$/, allowed: ['src/fs/', 'src/cli/', 'src/demo/'] },
  {
    module: /^(?:node:)?(?:timers(?:\/promises)?|perf_hooks)$/,
    allowed: ['src/std/clock.ts', 'src/cli/', 'src/demo/'],
  },
];

const statement = /^(?:import|export)\b(?:[^;'"`]*?\bfrom)?\s*['"]([^'"\n]+)['"]/gm;
const call = /\b(?:import|require)\s*\(\s*['"]([^'"\n]+)['"]/g;
const url = /\bnew URL\(\s*['"](\.[^'"\n]+)['"]\s*,\s*import\.meta\.url/g;

/** The modules that a text names, in the order of their kinds. */
export function readImports(text: string): string[] {
  return [statement, call, url].flatMap((pattern) =>
    Array.from(text.matchAll(pattern), (match) => match[1]!),
  );
}

/** What a file of `src/` imports against the rules; one sentence for each. */
export function layerViolations(path: string, text: string): string[] {
  return readImports(text).flatMap((specifier) => {
    const reason = specifier.startsWith('.')
      ? relativeViolation(path, posix.join(posix.dirname(path), specifier))
      : seamViolation(path, specifier);
    return reason === undefined ? [] : [`${path} imports ${specifier}: ${reason}`];
  });
}

function relativeViolation(path: string, target: string): string | undefined {
  if (!target.startsWith('src/')) return 'it is outside src';
  const from = path.slice('src/'.length);
  const to = target.slice('src/'.length);
  if (to === 'errors.ts') return undefined;
  if (from === 'errors.ts') return 'errors.ts imports nothing of the package';
  const fromFolder = from.split('/')[0]!;
  const toFolder = to.split('/')[0]!;
  if (fromFolder === toFolder) return undefined;
  const allowed = besides[fromFolder];
  if (allowed !== undefined) {
    const open = allowed.some((prefix) =>
      prefix.endsWith('/') ? to.startsWith(prefix) : to === prefix,
    );
    return open ? undefined : `${fromFolder} may import ${allowed.join(', ')} and its own files`;
  }
  const fromRank = layers.indexOf(fromFolder);
  const toRank = layers.indexOf(toFolder);
  if (fromRank === -1) return `src/${fromFolder} is no layer`;
  if (toRank === -1) return `src/${toFolder} is no layer below ${fromFolder}`;
  return toRank < fromRank ? undefined : `${toFolder} is above ${fromFolder}`;
}

function seamViolation(path: string, specifier: string): string | undefined {
  const seam = seams.find(({ module }) => module.test(specifier));
  if (seam === undefined || seam.allowed.some((prefix) => path.startsWith(prefix)))
    return undefined;
  return `only ${seam.allowed.join(', ')} may`;
}
