/*
 * Random appends, batches, levels, trims, idleness, failures, crashes and openings against an array.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Log } from '../../src/wal/log.ts';
import { injected } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { crashed, open, record, settle, worldOn, type World } from './log-fixture.ts';

const level = fc.constantFrom('memory', 'os', 'disk', 'disk');
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant('append'), level, bytes: fc.nat(900) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('burst'),
      level,
      sizes: fc.array(fc.nat(300), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('batch'),
      level,
      sizes: fc.array(fc.nat(400), { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant('large'),
      bytes: fc.integer({ min: 5000, max: 9000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('trim'), share: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('idle') }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('reopen') }) },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constant('crash'), seed: fc.nat(10_000), after: fc.nat(6) }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('fail'), after: fc.nat(8) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The log and what it must hold: records by LSN, and how far they are promised. */
class Model {
  world: World = worldOn();
  log!: Log;
  /** Texts that were given an LSN; index 0 is LSN 1. */
  sealed: string[] = [];
  /** Acknowledged at `disk`, or found by an opening, which proves what it serves. */
  promised = 0;
  /** First LSNs and lengths of batches that may be cut. */
  batches: { first: number; count: number }[] = [];
  #unique = 0;

  async start(): Promise<void> {
    this.log = await open(this.world, { undurableBytesMax: 2048 });
  }

  text(bytes: number): string {
    return Buffer.from(record(++this.#unique, bytes)).toString();
  }

  /** Appends without waiting; the promise settles when the append has. */
  append(texts: readonly string[], durability: 'memory' | 'os' | 'disk'): Promise<void> {
    const { log } = this;
    const before = log.stats().sealedLsn;
    const bytes = texts.map((text) => Buffer.from(text));
    const outcome = log.appendBatch(bytes, { durability });
    const isSealed = log.stats().sealedLsn > before;
    if (isSealed) {
      expect(before).toBe(this.sealed.length);
      this.sealed.push(...texts);
      this.batches.push({ first: before + 1, count: texts.length });
    }
    return outcome.then(
      (lsn) => {
        expect([isSealed, lsn]).toEqual([true, before + 1]);
        if (durability === 'disk') this.promised = Math.max(this.promised, before + texts.length);
      },
      ({ code }: { code: string }) => {
        expect(isSealed ? ['OUTCOME_UNKNOWN'] : ['OVERLOADED', 'POISONED']).toContain(code);
      },
    );
  }

  /** Opens, and holds what is there against what must and may be there. */
  async reopen(world: World, isWhole: boolean): Promise<void> {
    this.world = world;
    await this.start();
    const { firstLsn } = this.log.stats();
    const found: string[] = [];
    for await (const { lsn, bytes } of this.log.read()) {
      expect(lsn).toBe(firstLsn + found.length);
      found.push(Buffer.from(bytes).toString());
    }
    const last = firstLsn - 1 + found.length;
    expect(this.log.tail).toBe(last);
    expect(last).toBeGreaterThanOrEqual(isWhole ? this.sealed.length : this.promised);
    expect(found).toEqual(this.sealed.slice(firstLsn - 1, last));
    // No batch is cut through.
    const cut = this.batches.find(({ first, count }) => first <= last && last < first + count - 1);
    expect(cut).toBeUndefined();
    this.sealed.length = last;
    this.batches = this.batches.filter(({ first }) => first <= last);
    this.promised = last;
  }
}

async function run(model: Model, given: Step): Promise<void> {
  const { world, log } = model;
  switch (given.act) {
    case 'append':
      return model.append([model.text(given.bytes)], given.level);
    case 'large':
      return model.append([model.text(given.bytes)], 'disk');
    case 'batch':
      return model.append(
        given.sizes.map((bytes) => model.text(bytes)),
        given.level,
      );
    case 'burst':
      await Promise.all(given.sizes.map((bytes) => model.append([model.text(bytes)], given.level)));
      return undefined;
    case 'trim':
      if (log.stats().sealedLsn !== model.sealed.length) return undefined;
      return log
        .trim(Math.floor((log.tail * given.share) / 100))
        .catch((error: { code: string }) => {
          expect(error.code).toBe('POISONED');
        });
    case 'idle':
      for (let second = 0; second < 2; second++) {
        world.clock.advance(1000);
        await settle();
      }
      return undefined;
    case 'reopen': {
      const failed = await log
        .append(new Uint8Array(0))
        .catch((error: { code: string }) => error.code);
      if (failed !== 'POISONED') {
        if (typeof failed === 'number') {
          model.sealed.push('');
          model.batches.push({ first: failed, count: 1 });
        }
        await log.close();
        return model.reopen(world, true);
      }
      await log.close();
      return model.reopen(world, false);
    }
    case 'crash':
      return crashAmidst(model, given.after, given.seed);
    case 'fail': {
      let count = 0;
      world.fs.before = ({ call, path }) => {
        const isWriter = path.endsWith('.wal') && (call === 'write' || call === 'sync');
        if (isWriter && count++ >= given.after) throw injected('EIO');
      };
      await Promise.all([1, 2, 3].map((n) => model.append([model.text(n * 200)], 'disk')));
      world.fs.before = () => {};
      return undefined;
    }
    default:
      throw new Error('unknown step');
  }
}

/** Power is lost before some call of a burst. */
async function crashAmidst(model: Model, after: number, seed: number): Promise<void> {
  const { world } = model;
  const random = new SeededRandom(seed);
  let count = 0;
  let image: { world: World; promised: number } | undefined;
  world.fs.before = async () => {
    if (count++ !== after) return;
    const { promised } = model;
    image = { world: await crashed(world, random), promised };
  };
  await Promise.all([1, 2, 3, 4].map(() => model.append([model.text(random.below(700))], 'disk')));
  world.fs.before = () => {};
  image ??= { world: await crashed(world, random), promised: model.promised };
  model.promised = image.promised;
  return model.reopen(image.world, false);
}

test('random steps with crashes: the log holds a prefix of what was sealed, with all that was promised', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const model = new Model();
      await model.start();
      for (const given of steps) await run(model, given);
      await model.reopen(await crashed(model.world, new SeededRandom(steps.length)), false);
      await model.log.close();
    }),
    { seed: 20_261, numRuns: 150 },
  );
});
