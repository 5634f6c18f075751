/*
 * docs/FORMATS.md names every field that a sealed document is read for, as the decoders ask for them.
 */
import { expect, test } from 'vitest';
import { readText } from '../tools/repository.ts';

const page = readText('docs/FORMATS.md');
const section = page.slice(page.indexOf('## Sealed documents'), page.indexOf('## Tables'));

test.each([
  'src/checkpoint/checkpoint-record.ts',
  'src/checkpoint/record-notes.ts',
  'src/checkpoint/timelines/timeline-record.ts',
])('%s: each field that it asks for is on the page', (file) => {
  const asked = readText(file).matchAll(/(?:fields|from|log)\.\w+\('(\w+)'|body\['(\w+)'\]/g);
  const names = [...new Set([...asked].map(([, field, other]) => field ?? other!))];
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !section.includes(`\`${name}\``))).toEqual([]);
});

test('each field of the golden checkpoint and timeline record is on the page, at any depth', () => {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      for (const [name, inner] of Object.entries(value)) {
        names.add(name);
        // What a caller puts there is the caller's.
        if (name !== 'metadata') visit(inner);
      }
    }
  };
  for (const file of ['record-v1.json', 'timeline-v1.json']) {
    visit((JSON.parse(readText(`test/golden/${file}`)) as { body: unknown }).body);
  }
  expect(names.size).toBeGreaterThan(40);
  expect([...names].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test('every name in the directory of a store that the engine gives is on the page', () => {
  for (const [file, name] of [
    ['src/recovery/given-up.ts', 'given-up'],
    ['src/wal/claimed.ts', 'CLAIMED'],
    ['src/wal/log-mark.ts', 'log-mark.json'],
    ['src/recovery/new-store.ts', 'RESTORING'],
    ['src/recovery/backup-target.ts', 'backup.json'],
  ] as const) {
    expect(readText(file)).toContain(name);
    expect(page).toContain(`\`${name}`);
  }
});
