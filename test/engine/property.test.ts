/*
 * Random operations, commits, rollbacks, checkpoints and restarts against a plain model.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import {
  applyTo,
  expected,
  expectedReads,
  handlesOf,
  Model,
  pointReads,
  shown,
  type Step,
} from './model.ts';
import { keys, step, subKeys } from './random-steps.ts';

type Act =
  | { readonly act: 'steps'; readonly steps: readonly Step[] }
  | {
      readonly act:
        | 'commit'
        | 'rollback'
        | 'checkpoint'
        | 'base'
        | 'reopen'
        | 'check'
        | 'background';
    };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant('steps' as const),
      steps: fc.array(step, { maxLength: 6 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('commit' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom(
        'rollback',
        'checkpoint',
        'checkpoint',
        'base',
        'reopen',
        'check',
        'background',
        'background',
      ),
    }),
  },
);

describe('an engine under random use', () => {
  test('agrees with a plain model after every act', { timeout: 120_000 }, async () => {
    const runs = Number(process.env['TIDEMARK_PROPERTY_RUNS'] ?? 60);
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 40 }), async (acts) => {
        const components = {
          fs: new MemoryFileSystem(),
          clock: systemClock,
          random: systemRandom,
          threads: false,
        };
        const options = { dir: '/store', segmentBytesMax: 4 * 1024 * 1024, keyGroups: 4 };
        let engine = await openEngineWith(options, components);
        let committed = new Model();
        let open = committed.copy();
        let position = 0;
        const background: Promise<unknown>[] = [];
        for (const next of acts) {
          if (next.act === 'steps') {
            const handles = handlesOf(engine);
            for (const one of next.steps) {
              applyTo(handles, one);
              open.apply(one);
            }
          } else if (next.act === 'commit') {
            position++;
            open.positions = { source: position };
            await engine.commit({ positions: { source: position } });
            committed = open.copy();
          } else if (next.act === 'rollback') {
            engine.rollback();
            open = committed.copy();
          } else if (next.act === 'checkpoint') {
            await engine.checkpoint();
          } else if (next.act === 'background') {
            background.push(engine.checkpoint());
          } else if (next.act === 'base') {
            await engine.checkpoint({ kind: 'base' });
          } else if (next.act === 'reopen') {
            await Promise.all(background.splice(0));
            await engine.close();
            engine = await openEngineWith(options, components);
            open = committed.copy();
          }
          expect(shown(engine)).toEqual(expected(open));
          expect(pointReads(engine, keys, subKeys)).toEqual(expectedReads(open, keys, subKeys));
        }
        await Promise.all(background);
        await engine.close();
      }),
      {
        numRuns: runs,
        seed: Number(process.env['TIDEMARK_SEED'] ?? 20_261_121),
        endOnFailure: true,
      },
    );
  });
});
