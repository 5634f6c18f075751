/*
 * Opens a store in a process of its own and prints what it took: bytes of the images, of the entries in
 * them, the greatest resident size beside that before the opening, and the time of all cores.
 */
import fs from 'node:fs';
import { openEngine } from '../../dist/engine/index.js';

/** Of this process alone: what getrusage says on Linux begins with what its parent had. */
function peakRss() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'));
  return Number(kibibytes) * 1024;
}

const { dir, options } = JSON.parse(process.argv[2]);
const before = process.memoryUsage.rss();
const cpuBefore = process.cpuUsage();
const engine = await openEngine({ ...options, dir });
const { user, system } = process.cpuUsage(cpuBefore);
const cpuMs = (user + system) / 1000;
const { imageBytes, storage } = engine.stats();
const peak = peakRss();
console.log(JSON.stringify({ before, peak, imageBytes, entryBytes: storage.entryBytes, cpuMs }));
await engine.close();
