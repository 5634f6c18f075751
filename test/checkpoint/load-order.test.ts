import { expect, test } from 'vitest';
import { rankOperators, type OperatorOrder } from '../../src/checkpoint/residency/load-order.ts';

const declared = (
  orders: Record<string, Partial<OperatorOrder>>,
): ReadonlyMap<string, OperatorOrder> =>
  new Map(
    Object.entries(orders).map(([name, order]) => [name, { priority: 0, after: [], ...order }]),
  );

function inOrder(orders: Record<string, Partial<OperatorOrder>>, names: string[]): string[] {
  const ranks = rankOperators(declared(orders));
  if (!('rankOf' in ranks)) throw new Error(`a circle: ${ranks.cycle.join(' ')}`);
  return names.toSorted((a, b) => ranks.rankOf(a) - ranks.rankOf(b));
}

test('nothing declared: all operators have one rank', () => {
  expect(inOrder({}, ['b', 'a'])).toEqual(['b', 'a']);
});

test('priorities: the greatest first, those that nothing is declared of at 0', () => {
  const orders = { low: { priority: -1 }, high: { priority: 2 }, mid: { priority: 1 } };
  expect(inOrder(orders, ['low', 'other', 'mid', 'high'])).toEqual(['high', 'mid', 'other', 'low']);
});

test('one that is named as before another: before it, whatever the priorities say', () => {
  const orders = { routes: { priority: 9, after: ['airports'] }, airports: { priority: -5 } };
  expect(inOrder(orders, ['routes', 'other', 'airports'])).toEqual(['other', 'airports', 'routes']);
  expect(inOrder({ routes: { after: ['airports'] } }, ['routes', 'airports'])).toEqual([
    'airports',
    'routes',
  ]);
});

test('a circle: the operators that stand in it', () => {
  const ranks = rankOperators(
    declared({ a: { after: ['b'] }, b: { after: ['c'] }, c: { after: ['b'] } }),
  );
  expect(ranks).toEqual({ cycle: ['b', 'c', 'b'] });
  expect(rankOperators(declared({ a: { after: ['a'] } }))).toEqual({ cycle: ['a', 'a'] });
});
