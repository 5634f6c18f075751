/*
 * The results of the runs that the page is made from; a run that was not made is undefined.
 */
import fs from 'node:fs';
import path from 'node:path';

const folder = path.resolve(import.meta.dirname, '../results');

export function readResults() {
  return Object.fromEntries(
    ['bench', 'peers', 'scale'].map((name) => {
      const file = path.join(folder, `${name}.json`);
      const found = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
      return [name, found];
    }),
  );
}
