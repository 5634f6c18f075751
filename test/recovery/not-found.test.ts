import { expect, test } from 'vitest';
import {
  checkpointNotFound,
  operatorNotFound,
  savepointNotFound,
  stateNotFound,
} from '../../src/recovery/not-found.ts';
import { holderOperator } from '../../src/state/operator.ts';

test.each<[number[], string]>([
  [[], 'there is no checkpoint 7, there are none'],
  [[3], 'there is no checkpoint 7, there is 3'],
  [[3, 5], 'there is no checkpoint 7, there are 5, 3'],
  [[1, 2, 3, 4, 5, 6, 8, 9], 'there is no checkpoint 7, there are 9, 8, 6, 5, 4, 3, 2, 1'],
  [
    [1, 2, 3, 4, 5, 6, 8, 9, 10, 11],
    'there is no checkpoint 7, there are 11, 10, 9, 8, 6, 5, 4, 3 and 2 older',
  ],
])('of the checkpoints %j none is asked for: names the newest', (checkpoints, message) => {
  const error = checkpointNotFound(7, checkpoints);
  expect([error.code, error.kind, error.message]).toEqual([
    'CHECKPOINT_NOT_FOUND',
    'missing',
    message,
  ]);
  expect(error.details).toEqual({ id: 7, checkpoints });
});

test('a savepoint that is not there: names those that are', () => {
  const error = savepointNotFound('x', ['before', 'after']);
  expect(error.code).toBe('SAVEPOINT_NOT_FOUND');
  expect(error.message).toBe('there is no savepoint x, there are after, before');
  expect(error.details).toEqual({ name: 'x', savepoints: ['before', 'after'] });
});

test('one that another timeline has: names that', () => {
  const error = checkpointNotFound(7, [8], { timeline: 2 });
  expect(error.message).toBe(
    'there is no checkpoint 7 here; timeline 2 has one, name it to go there',
  );
  expect(error.details).toEqual({ id: 7, checkpoints: [8], timeline: 2 });
});

const states = ['a.x', 'a.y', 'b.z'].map((name) => {
  const [operator, state] = name.split('.') as [string, string];
  return { operator, state };
});
const holders = { operator: holderOperator, state: 'mine' };

test.each<[string | undefined, string | undefined, string, string[]]>([
  ['a', 'v', 'store has no such state: a.v, there are a.x, a.y', ['a.x', 'a.y']],
  ['b', 'v', 'store has no such state: b.v, there is b.z', ['b.z']],
  ['c', 'v', 'store has no such state: c.v, there are a.x, a.y, b.z', ['a.x', 'a.y', 'b.z']],
  [undefined, 'v', 'store has no such state: v, there are a.x, a.y, b.z', ['a.x', 'a.y', 'b.z']],
])('the state %s.%s: names those of the operator, else all', (operator, state, message, named) => {
  const error = stateNotFound(operator, state, [...states.toReversed(), holders]);
  expect([error.code, error.kind, error.message]).toEqual(['STATE_NOT_FOUND', 'missing', message]);
  expect(error.details).toEqual({ operator, state, states: named });
});

test('a state where there are none, and where there are many', () => {
  expect(stateNotFound('a', 'x', []).message).toBe('store has no such state: a.x, there are none');
  const many = Array.from({ length: 10 }, (_, i) => ({ operator: 'a', state: `s${i}` }));
  expect(stateNotFound('a', 'x', many).message).toMatch(/there are a\.s0, .*, a\.s7 and 2 more$/);
});

test('an operator that is not there: names those that are', () => {
  const error = operatorNotFound('c', ['a', 'b']);
  expect(error.message).toBe('there is no operator c at that moment, there are a, b');
  expect(error.details).toEqual({ operator: 'c', known: ['a', 'b'] });
});
