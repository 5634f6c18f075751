/*
 * The results of the runs that the page is made from; a run that was not made is undefined.
 */
import fs from 'node:fs';
import path from 'node:path';

const folder = path.resolve(import.meta.dirname, '../results');

const files = {
  bench: 'bench.json',
  peers: 'peers.json',
  large: 'peers-large.json',
  scale: 'scale.json',
};

export function readResults() {
  return Object.fromEntries(
    Object.entries(files).map(([name, fileName]) => {
      const file = path.join(folder, fileName);
      const found = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
      return [name, found];
    }),
  );
}
