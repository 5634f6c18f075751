/*
 * docs/OPTIONS.md against the code: every option is there, nothing else is, and what the page gives
 * as a constant is what the code takes when nothing is said.
 */
import { describe, expect, test } from 'vitest';
import { compressionBytesMin } from '../../src/codec/compression-setting.ts';
import {
  engineOptionNames,
  keyGroupsDefault,
  resolveOptions,
  type EngineOptions,
} from '../../src/engine/options.ts';
import { TidemarkError } from '../../src/errors.ts';
import { readerOptionNames } from '../../src/recovery/reader.ts';
import { openLogOptionNames } from '../../src/wal/log.ts';
import { resolveLogOptions, type LogOptions } from '../../src/wal/log-options.ts';
import { readText } from '../tools/repository.ts';

interface Row {
  readonly path: string;
  /** Of the column of defaults. */
  readonly cell: string;
}

const page = readText('docs/OPTIONS.md');

/** Rows of the tables of a chapter whose first column is an option. */
function rowsOf(chapter: string): Row[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${chapter}\n`))!;
  const rows = text.matchAll(/^\| `([\w.]+)` \|[^|]*\| ([^|]*) \|[^|]*\|$/gm);
  return [...rows].map(([, path, cell]) => ({ path: path!, cell: cell! }));
}

/** The constant that a cell starts with. */
function constantOf({ cell }: Row): { readonly value: unknown } | undefined {
  const literal = /^`([^`]+)`/.exec(cell)?.[1];
  return literal === undefined
    ? undefined
    : { value: JSON.parse(literal.replaceAll("'", '"')) as unknown };
}

const memory = { dir: ':memory:' };

/** An object with a value at a path. */
function nested(path: readonly string[], value: unknown): Record<string, unknown> {
  const [name, ...rest] = path;
  return { [name!]: rest.length === 0 ? value : nested(rest, value) };
}

/** An option and those inside it, as its refusals of names list them. */
function pathsFrom(path: readonly string[]): string[] {
  const own = path.join('.');
  try {
    const probe = nested(path, { 'no such name': 1 });
    resolveOptions({ ...memory, ...probe });
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    const { option, known } = error.details;
    if (option === `${own}.no such name`) {
      return [own, ...(known as string[]).flatMap((name) => pathsFrom([...path, name]))];
    }
  }
  return [own];
}

/** What the page gives for an option: its constant, or an object of the constants inside it. */
function givenBy(rows: readonly Row[], path: string): unknown {
  const inside = rows.filter((row) => row.path.startsWith(`${path}.`));
  const names = new Set(inside.map((row) => row.path.slice(path.length + 1).split('.')[0]!));
  if (names.size === 0) return constantOf(rows.find((row) => row.path === path)!)?.value;
  const values = [...names].map((name) => [name, givenBy(rows, `${path}.${name}`)] as const);
  const given = Object.fromEntries(values.filter(([, value]) => value !== undefined));
  // A moment that is not named is none, and not one of no name.
  return Object.keys(given).length === 0 ? undefined : given;
}

/** Options in force, with what a default leaves to the writer of a file. */
function inForce(options: EngineOptions): object {
  const resolved = resolveOptions(options);
  return { ...resolved, compression: { bytesMin: compressionBytesMin, ...resolved.compression } };
}

describe('openEngine', () => {
  const rows = rowsOf('openEngine');

  test('the page: has every option, those inside options too, and no other', () => {
    const paths = engineOptionNames.flatMap((name) => pathsFrom([name]));
    expect(paths).toContain('merge.strategy');
    expect(rows.map(({ path }) => path).toSorted()).toEqual(paths.toSorted());
  });

  test.each([...engineOptionNames].filter((name) => name !== 'dir' && name !== 'keyGroups'))(
    '%s: given the constants of the page, the options in force are the defaults',
    (name) => {
      const given = { ...memory, [name]: givenBy(rows, name) } as EngineOptions;
      expect(inForce(given)).toEqual(inForce(memory));
    },
  );

  test('keyGroups, which an existing store decides: the constant of a new one', () => {
    const row = rows.find(({ path }) => path === 'keyGroups')!;
    expect(constantOf(row)?.value).toBe(keyGroupsDefault);
  });

  test('a constant that is wrong: would be found', () => {
    const wrong = resolveOptions({ ...memory, maxChainLength: 11 });
    expect(wrong).not.toEqual(resolveOptions(memory));
    expect(rows.filter((row) => constantOf(row)).length).toBeGreaterThan(15);
  });
});

describe('openLog', () => {
  const rows = rowsOf('openLog');

  test('the page: has every option and no other', () => {
    expect(rows.map(({ path }) => path).toSorted()).toEqual([...openLogOptionNames].toSorted());
  });

  test('the constants of the page: are those of the engine and of the log', () => {
    const engine = new Map(rowsOf('openEngine').map((row) => [row.path, constantOf(row)]));
    const settings: Record<string, unknown> = {};
    for (const row of rows) {
      if (engine.has(row.path)) expect(constantOf(row)).toEqual(engine.get(row.path));
      if (!row.path.endsWith('Max')) continue;
      settings[row.path] = constantOf(row)?.value;
    }
    const { logCompression, ...numbers } = resolveLogOptions({} satisfies LogOptions);
    expect(settings).toMatchObject(numbers);
    expect(logCompression).toBeUndefined();
  });
});

describe('openReader', () => {
  test('the page: has every option and no other', () => {
    const rows = rowsOf('openReader');
    expect(rows.map(({ path }) => path).toSorted()).toEqual([...readerOptionNames].toSorted());
  });
});
