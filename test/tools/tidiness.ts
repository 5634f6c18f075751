/*
 * The rules of tidiness that neither the compiler nor the linter holds, as functions of a path and a
 * text. Each returns one sentence for every violation, and nothing when there is none.
 */
import { entries } from '../../tools/bundle.mjs';

/** Bytes a tracked file may have. */
export const fileBytesMax = 1_000_000;

/** Lines a source file may have. */
export const sourceLinesMax = 500;

/** Paths of one machine: home folders and work folders, which nobody else has. */
export function machinePaths(path: string, text: string): string[] {
  const pattern =
    /(?<![\w.\-/~})*])(?:\/(?:work|home|root|farm|Users)(?=[/"'`\s),;:]|$)|[A-Z]:\\Users\b)/gm;
  return matches(path, text, pattern, 'names a path of one machine');
}

/** Addresses in a lockfile, which would tie every install to one registry. */
export function registryAddresses(path: string, text: string): string[] {
  return matches(
    path,
    text,
    /"resolved":\s*"https?:|^\s*(?:\S+:)?registry\s*=/gm,
    'names a registry',
  );
}

/** Tests that leave others out, or that are left out. */
export function suppressedTests(path: string, text: string): string[] {
  const pattern =
    /\b(?:test|it|describe|suite)(?:\.\w+)*\.(?:only|skip|todo)\b|\b[xf](?:it|describe)\(/g;
  return matches(path, text, pattern, 'leaves tests out');
}

/** The `private` and `protected` keywords, where `#name` is meant. */
export function accessKeywords(path: string, text: string): string[] {
  return matches(path, text, /^ +(?:private|protected) +\w/gm, 'uses an access keyword');
}

/** A clock read that the linter's list of names does not catch. */
export function clockReads(path: string, text: string): string[] {
  return matches(
    path,
    text,
    /\bnew Date\(\s*\)|\bglobalThis\.(?:performance|set\w+)\b/g,
    'reads a clock',
  );
}

/** A source file that does not open with a comment saying what it is for. */
export function missingHeader(path: string, text: string): string[] {
  const header = /^(?:#!.*\n)?\/\*(?!\*)([^]*?)\*\/\n/.exec(text);
  const words = header?.[1]?.match(/\p{L}+/gu)?.length ?? 0;
  return words >= 5 ? [] : [`${path} does not open with a comment that says what it is for`];
}

/** A source file that has outgrown one responsibility. */
export function tooLong(path: string, text: string): string[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return lines <= sourceLinesMax ? [] : [`${path} has ${lines} lines; at most ${sourceLinesMax}`];
}

/** A file too large to be tracked. */
export function tooLarge(path: string, bytes: number): string[] {
  return bytes <= fileBytesMax ? [] : [`${path} has ${bytes} bytes; at most ${fileBytesMax}`];
}

/** The parts of a package manifest that the rules look at. */
export interface Manifest {
  readonly [field: string]: unknown;
}

/** Dependencies whose version is a range. */
export function inexactVersions(path: string, manifest: Manifest): string[] {
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((field) =>
    Object.entries((manifest[field] ?? {}) as Record<string, string>)
      .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
      .map(([name, version]) => `${path} asks for ${name} ${version}, which is not exact`),
  );
}

/** The part of a lockfile that the rules look at. */
export interface Lockfile {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >;
}

/**
 * Optional packages, such as builds for other platforms, that a lockfile names and does not list.
 * `npm ci` refuses such a lockfile on every platform.
 */
export function unlistedOptionals(path: string, lockfile: Lockfile): string[] {
  return Object.entries(lockfile.packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter(
        (name) =>
          !Object.hasOwn(lockfile.packages, `node_modules/${name}`) &&
          !Object.hasOwn(lockfile.packages, `${parent}/node_modules/${name}`),
      )
      .map((name) => `${path} names ${name} for ${parent} and does not list it`),
  );
}

/** The sources behind the files of `dist/` that a manifest exports or runs. */
export function exportedSources(manifest: Manifest): string[] {
  const targets = [...leaves(manifest['exports']), ...leaves(manifest['bin'])];
  const built = targets.map((target) => target.replace(/^\.\//, ''));
  const sources = built
    .filter((target) => target.startsWith('dist/'))
    .map((target) => target.replace(/^dist\/bundle\/(.*)\.js$/, (_, name: string) => bundled(name)))
    .map((target) => target.replace(/^dist\//, 'src/').replace(/(?:\.d)?\.[jt]s$/, '.ts'));
  return [...new Set(sources)];
}

/** The compiled file behind a bundled one. */
function bundled(name: string): string {
  return `dist/${entries[name] ?? name}.js`;
}

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((inner) => leaves(inner));
}

function matches(path: string, text: string, pattern: RegExp, what: string): string[] {
  return Array.from(text.matchAll(pattern), (match) => {
    const line = text.slice(0, match.index).split('\n').length;
    return `${path}:${line} ${what}: ${match[0].trim()}`;
  });
}
