/*
 * `acceptLoss` that is given up by a signal: until the copy is whole nothing is given up, and the next
 * opening is refused as before; behind it the loss is written, and the opening is finished.
 */
import { describe, expect, test } from 'vitest';
import { codeOf, digests, open, pathsIn, type World } from '../engine/engine-fixture.ts';
import { giveUp, type EndingLimits } from '../engine/giving-up.ts';
import { flipInLog, fourCommits, shortLog } from './damaged-worlds.ts';

/** Files of the store itself. */
async function ownOf(world: World): Promise<Record<string, string>> {
  const all = Object.entries(await digests(world.fs));
  return Object.fromEntries(all.filter(([path]) => !path.includes('/given-up/')));
}

async function accept(world: World, limits: Partial<EndingLimits> = {}): Promise<void> {
  const engine = await open(world, { ...shortLog, acceptLoss: true, ...limits });
  expect(engine.recovery.loss?.lost).toMatchObject({ fromLsn: 4, throughLsn: 4 });
  await engine.close();
}

describe('an opening that accepts a loss and is given up', () => {
  test.each(['signal', 'time'] as const)(
    'by %s: nothing was given up, or it is finished',
    async (how) => {
      const world = await fourCommits();
      await flipInLog(world, 'fourth');
      const before = await ownOf(world);
      const whole = await giveUp(world, { at: 0, how }, accept);
      let withCopy = 0;
      const codes: (string | undefined)[] = [];
      const step = how === 'signal' ? 7 : 11;
      for (let at = 1; at < whole.calls; at += step) {
        const { world: left, code, handles } = await giveUp(world, { at, how }, accept);
        expect(handles).toBe(0);
        expect(left.clock.timerCount).toBe(0);
        codes.push(code);
        if (code === undefined) {
          const engine = await open(left, shortLog);
          expect(engine.operator('op').value('v').get('k')).toBe('third');
          await engine.close();
          continue;
        }
        expect(code).toBe(how === 'signal' ? 'ABORTED' : 'TIMEOUT');
        expect(await ownOf(left)).toEqual(before);
        if ((await pathsIn(left.fs, 'given-up')).length > 0) withCopy++;
        expect(await codeOf(open(left, shortLog))).toBe('CORRUPT_FRAME');
        await accept(left);
      }
      expect(withCopy).toBeGreaterThan(2);
      const ended = codes.filter((code) => code !== undefined).length;
      expect(codes.indexOf(undefined)).toBe(ended);
      expect(codes.length).toBeGreaterThan(ended);
    },
  );
});
