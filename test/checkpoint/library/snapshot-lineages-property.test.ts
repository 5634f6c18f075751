/*
 * Any lineages by any built-in policy, against a plain model that shares no code with the join.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withBase } from './snapshot-joiner.ts';

const C = 'cc'.repeat(16);

const change = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  value: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
  eventTime: fc.constantFrom(0, 0, 3, 40),
  ttl: fc.constantFrom(0, 0, 0, 1, 60),
});
const drafts = fc.array(
  fc.record({
    after: fc.integer({ min: 1, max: 12 }),
    changes: fc.array(change, { maxLength: 6 }),
  }),
  { minLength: 1, maxLength: 4 },
);

interface Written {
  readonly value: number | undefined;
  readonly time: number;
  readonly eventTime: number;
  readonly expiry: number;
  readonly lineage: number;
}

describe.each(['last-write-wins', 'first-write-wins', 'timestamp-priority'] as const)(
  'any lineages by %s',
  (policy) => {
    test('the state is that of a plain model, in whatever order lineages are given', async () => {
      const property = fc.asyncProperty(drafts, fc.nat({ max: 23 }), async (lineages, order) => {
        const library = await withBase({ a: 0, b: 1, c: 2 });
        const { start } = library;
        const paths: string[] = [];
        const written = new Map<string, Map<number, Written>>();
        for (const [i, { after, changes }] of lineages.entries()) {
          const path = `/lineage-${i}`;
          const file = await library.create(path, {
            base: '/base',
            storeId: (10 + i).toString(16).padStart(2, '0').repeat(16),
            timestamp: start + after,
          });
          for (const { key, value, eventTime, ttl } of changes) {
            const time = eventTime === 0 ? {} : { eventTime: start + eventTime };
            const expiry = ttl === 0 ? 0 : start + after + ttl;
            if (value === undefined) await file.delete('t', key, time);
            else
              await file.write('t', key, value, { ...time, ...(expiry && { expiresAt: expiry }) });
            const ofKey = written.get(key) ?? new Map<number, Written>();
            written.set(key, ofKey);
            ofKey.set(i, {
              value,
              time: start + after,
              eventTime: eventTime === 0 ? start + after : start + eventTime,
              expiry: value === undefined ? 0 : expiry,
              lineage: i,
            });
          }
          await file.finish();
          paths.push(path);
        }
        const end = start + Math.max(...lineages.map(({ after }) => after)) + 1;
        const state = new Map<unknown, unknown>([
          ['a', 0],
          ['b', 1],
          ['c', 2],
        ]);
        let conflicts = 0;
        for (const [key, ofKey] of written) {
          const all = [...ofKey.values()];
          const alike = new Set(all.map(({ value, expiry }) => `${value} ${expiry}`));
          if (alike.size > 1) conflicts++;
          const rank = (one: Written): number[] =>
            policy === 'timestamp-priority'
              ? [one.eventTime, one.time, one.lineage]
              : [one.time, one.lineage];
          all.sort((x, y) => {
            const [p, q] = [rank(x), rank(y)];
            const at = p.findIndex((number, i) => number !== q[i]);
            return p[at]! - q[at]!;
          });
          const winner = policy === 'first-write-wins' ? all[0]! : all.at(-1)!;
          state.delete(key);
          const expired = winner.expiry !== 0 && winner.expiry <= end;
          if (winner.value !== undefined && !expired) state.set(key, winner.value);
        }
        const joined = await library.join(
          paths.map((path) => [path]),
          policy,
          { storeId: C },
        );
        expect(joined.state).toEqual(state);
        expect(joined.conflicts.count).toBe(conflicts);
        const shuffled = [...paths];
        for (let i = shuffled.length - 1, rest = order; i > 0; i--) {
          const j = rest % (i + 1);
          rest = Math.floor(rest / (i + 1));
          [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
        }
        const again = await library.join(
          shuffled.map((path) => [path]),
          policy,
          { storeId: C },
        );
        const bytes = [await library.bytes(joined.path), await library.bytes(again.path)] as const;
        expect(bytes[0].equals(bytes[1])).toBe(true);
      });
      await fc.assert(property, { seed: 20, numRuns: 80 });
    });
  },
);
