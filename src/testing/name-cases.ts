/*
 * Cases about names: the whole alphabet, the limits, and what has to be refused everywhere.
 */
import type { ObjectStore } from '../store/object-store.ts';
import {
  check,
  checkBytesEqual,
  checkListEqual,
  checkRejects,
  patternBytes,
} from './expectations.ts';
import { namesOf, type StoreCheck } from './read-cases.ts';

const longestPart = 'p'.repeat(255);

const legalNames: readonly string[] = [
  'a',
  '-',
  '_',
  '...',
  '.hidden',
  'trailing.',
  '-rf',
  'e/.b/..c/d..',
  'ZYXWVUTSRQPONMLKJIHGFEDCBA',
  'abcdefghijklmnopqrstuvwxyz',
  '0123456789._-',
  'staging/x',
  'tmp.tmp',
  longestPart,
  // 512 characters, in parts and in depth.
  `${'q'.repeat(255)}/${longestPart.slice(1)}/x`,
  `${'d/'.repeat(255)}zz`,
];

const illegalNames: readonly string[] = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  './a',
  '../a',
  'a/.',
  'a/..',
  'a/./b',
  'a/../b',
  'a b',
  'a\\b',
  'a\0b',
  'a\nb',
  'a:b',
  'a~b',
  'a%2fb',
  'état',
  'x'.repeat(256),
  `a/${'x'.repeat(256)}/b`,
  `${'d/'.repeat(256)}z`,
];

const illegalPrefixes: readonly string[] = ['/', '/a', '../', './a', 'a//', 'a/../', 'a b', 'é'];

export const nameCases: readonly StoreCheck[] = [
  ['names at the limits: every call takes them', checkLegalNames],
  ['names that are refused: INVALID_NAME by every call, and nothing is written', checkIllegalNames],
  ['prefixes that no name starts with by rule: INVALID_NAME', checkIllegalPrefixes],
];

async function checkLegalNames(store: ObjectStore): Promise<void> {
  for (const [i, name] of legalNames.entries()) {
    const bytes = patternBytes(10, i);
    check(await store.putIfAbsent(name, bytes), `putIfAbsent of ${name} is not true`);
    checkBytesEqual(await store.get(name), bytes, `object ${name}`);
    await store.put(name, bytes);
  }
  checkListEqual(await namesOf(store, ''), legalNames.toSorted(), 'list of names at the limits');
  for (const name of legalNames) await store.delete(name);
  checkListEqual(await namesOf(store, ''), [], 'list after delete of names at the limits');
}

async function checkIllegalNames(store: ObjectStore): Promise<void> {
  const bytes = patternBytes(1, 1);
  const notTexts = [undefined, null, 7] as unknown as string[];
  for (const name of [...illegalNames, ...notTexts]) {
    const what = JSON.stringify(name) ?? 'undefined';
    await checkRejects(() => store.get(name), 'INVALID_NAME', `get of ${what}`);
    await checkRejects(() => store.put(name, bytes), 'INVALID_NAME', `put of ${what}`);
    const putIfAbsent = (): Promise<boolean> => store.putIfAbsent(name, bytes);
    await checkRejects(putIfAbsent, 'INVALID_NAME', `putIfAbsent of ${what}`);
    await checkRejects(() => store.delete(name), 'INVALID_NAME', `delete of ${what}`);
  }
  checkListEqual(await namesOf(store, ''), [], 'list after names that are refused');
}

async function checkIllegalPrefixes(store: ObjectStore): Promise<void> {
  for (const prefix of illegalPrefixes) {
    await checkRejects(() => store.list(prefix), 'INVALID_NAME', `list of prefix ${prefix}`);
  }
  for (const prefix of ['.', '..', 'a/.', 'a/..', 'a/', 'x'.repeat(255)]) {
    checkListEqual(await namesOf(store, prefix), [], `list of prefix ${prefix}`);
  }
}
