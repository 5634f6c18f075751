/*
 * Programs of rising versions that write into one store, with checkpoints, merges and restarts in
 * between, against a model that remembers each value with the version that wrote it.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Engine, ListState, ValueState, VersionedOptions } from '../../src/engine/index.ts';
import { open, worldOn } from '../engine/engine-fixture.ts';

interface Shape {
  readonly n: number;
  /** Upgrades that it went through. */
  readonly path?: readonly string[];
  readonly by?: number;
}

interface Stored {
  readonly value: Shape;
  readonly version: number;
}

type Step =
  | { readonly kind: 'set' | 'patch'; readonly key: number; readonly n: number }
  | { readonly kind: 'delete' | 'append'; readonly key: number; readonly n?: undefined }
  | { readonly kind: 'commit' | 'rollback' | 'delta' | 'base' | 'merge' | 'restart' | 'raise' };

const keys = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set'), key: keys, n: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('patch'), key: keys, n: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete'), key: keys }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('append'), key: keys }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('raise') }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('rollback', 'delta', 'base', 'merge', 'restart'),
    }),
  },
) as fc.Arbitrary<Step>;

function upgradeTo(version: number): (old: Shape, from: number) => Shape {
  return (old, from) => ({ ...old, path: [...(old.path ?? []), `${from} to ${version}`] });
}

const optionsOf = (version: number): VersionedOptions<Shape> =>
  version === 1 ? {} : { version, upgrade: upgradeTo(version) };

function shown({ value, version }: Stored, now: number): Shape {
  return version === now ? value : upgradeTo(now)(value, version);
}

/** What a program of a version does and sees. */
class Program {
  readonly engine: Engine;
  readonly version: number;
  readonly values: ValueState<Shape>;
  readonly list: ListState<Shape>;

  constructor(engine: Engine, version: number) {
    this.engine = engine;
    this.version = version;
    this.values = engine.operator('op').value('v', optionsOf(version));
    this.list = engine.operator('op').list('l', optionsOf(version));
  }

  check({ values, items }: Model): void {
    for (let key = 0; key < 4; key++) {
      const stored = values.get(key);
      const expected = stored && shown(stored, this.version);
      expect(this.values.get(key)).toEqual(expected);
      expect(this.values.getEntry(key)?.version).toBe(stored?.version);
      const list = (items.get(key) ?? []).map((item) => shown(item, this.version));
      expect(this.list.get(key)).toEqual(list);
    }
    const all = [...values].map(([key, stored]) => [key, shown(stored, this.version)] as const);
    expect(new Map(this.values.entries())).toEqual(new Map(all));
  }
}

interface Model {
  readonly values: Map<number, Stored>;
  readonly items: Map<number, readonly Stored[]>;
}

const copy = ({ values, items }: Model): Model => ({
  values: new Map(values),
  items: new Map(items),
});

function apply(one: Step, { values, list, version }: Program, model: Model): void {
  if (!('key' in one)) return;
  const { key } = one;
  const stored = model.values.get(key);
  if (one.kind === 'delete') {
    values.delete(key);
    model.values.delete(key);
  } else if (one.n === undefined) {
    const items = model.items.get(key) ?? [];
    const value = { n: items.length };
    list.append(key, value);
    model.items.set(key, [...items, { value, version }]);
  } else {
    const fields = { n: one.n, by: version };
    if (one.kind === 'set') values.set(key, fields);
    else values.patch(key, fields);
    const before = one.kind === 'patch' && stored ? shown(stored, version) : {};
    model.values.set(key, { value: { ...before, ...fields }, version });
  }
}

test('any programs of rising versions: each reads what all have written in its own form', async () => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 15, maxLength: 60 }),
    async (steps) => {
      const world = worldOn();
      let program = new Program(await open(world, { checkpointing: false, retention: false }), 1);
      let now: Model = { values: new Map(), items: new Map() };
      let committed = copy(now);
      const history: { readonly lsn: number; readonly model: Model }[] = [];
      for (const one of steps) {
        const { engine, version } = program;
        apply(one, program, now);
        if (one.kind === 'rollback') {
          engine.rollback();
          now = copy(committed);
        } else if (!('key' in one)) {
          const { lsn } = await engine.commit();
          committed = copy(now);
          history.push({ lsn, model: copy(now) });
          if (one.kind === 'delta' || one.kind === 'base')
            await engine.checkpoint({ kind: one.kind });
          if (one.kind === 'merge') await engine.merge();
          if (one.kind === 'restart' || one.kind === 'raise') {
            await engine.close();
            const next = one.kind === 'raise' ? version + 1 : version;
            program = new Program(
              await open(world, { checkpointing: false, retention: false }),
              next,
            );
          }
        }
        program.check(now);
      }
      for (const { lsn, model } of history.slice(-4)) {
        const view = await program.engine.viewAt({ lsn });
        for (const [key, stored] of model.values) {
          const entry = view.operator('op').value('v').getEntry(key);
          expect(entry).toMatchObject({ version: stored.version });
          expect(entry?.value).toEqual(shown(stored, program.version));
        }
        await view.close();
      }
      await program.engine.close();
    },
  );
  await fc.assert(property, { seed: 81, numRuns: 12 });
});
