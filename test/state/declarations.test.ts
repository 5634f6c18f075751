/*
 * What the declarations of the package say of handles: how to use one, not how to make one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const folder = new URL('../../dist/state/', import.meta.url);

test('operators and handles: declared without a constructor', () => {
  const names = readdirSync(folder).filter((name) => /(-state|^operator)\.d\.ts$/.test(name));
  expect(names).toHaveLength(9);
  for (const name of names) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    expect(text).toMatch(/export declare class \w+/);
    expect([name, text.includes('constructor(')]).toEqual([name, false]);
  }
});
