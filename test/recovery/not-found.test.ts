import { expect, test } from 'vitest';
import { checkpointNotFound, savepointNotFound } from '../../src/recovery/not-found.ts';

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
