/*
 * A disk that is really full: a small ext4 in a file, mounted where the user may do that (root, with
 * mkfs.ext4 and loop devices); elsewhere the tests are skipped, and their names say why. What was
 * acknowledged is there, commits are refused without loss, and the work goes on when there is space.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { LedgerProcess, type LedgerSettings } from './ledger.ts';

const root = mkdtempSync(join(tmpdir(), 'tidemark-full-'));
const mounts: string[] = [];

/** Mounts a file system of so many MiB; undefined where that is not allowed. */
function mounted(name: string, mebibytes: number): string | undefined {
  const image = join(root, `${name}.img`);
  const at = join(root, name);
  try {
    writeFileSync(image, '');
    execFileSync('truncate', ['-s', `${mebibytes}M`, image], { stdio: 'ignore' });
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image], { stdio: 'ignore' });
    mkdirSync(at);
    execFileSync('mount', ['-o', 'loop', image, at], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  mounts.push(at);
  return at;
}

const disk = mounted('disk', 24);
afterAll(() => {
  for (const at of mounts) execFileSync('umount', [at]);
  rmSync(root, { recursive: true });
});

const why = disk ? '' : ' (skipped: a file system cannot be mounted here)';
const settings: LedgerSettings = {
  inFlight: 1,
  valueBytes: 4000,
  engine: { segmentBytesMax: 1024 * 1024 },
};

/** Takes all the space but so much. */
function fill(at: string, leave: number): string {
  const { bavail, bsize } = statfsSync(at);
  const filler = join(at, 'filler');
  execFileSync('fallocate', ['-l', String(bavail * bsize - leave), filler]);
  return filler;
}

describe.skipIf(disk === undefined)(`a full disk${why}`, () => {
  test('commits are refused, nothing acknowledged is lost, and it goes on when there is space', async () => {
    const dir = join(disk!, 'store');
    let writer = new LedgerProcess(dir, settings);
    await writer.line((line) => line === 'ack 20');
    const filler = fill(disk!, 256 * 1024);
    await writer.line((line) => line.startsWith('refused'));
    const { acknowledged } = writer;
    writer.kill();
    await writer.ended;

    // Opened again while it is full: either it opens with everything, or it says that it cannot.
    writer = new LedgerProcess(dir, settings);
    const found = await Promise.race([
      writer.line((line) => line.startsWith('opened')),
      writer.ended.then(({ errors }) => errors),
    ]);
    if (writer.opened === undefined) expect(found).toContain('NO_SPACE');
    else expect(writer.opened).toBeGreaterThanOrEqual(acknowledged);
    rmSync(filler);
    if (writer.opened === undefined) writer = new LedgerProcess(dir, settings);
    await writer.line((line) => line === `ack ${acknowledged + 50}`);
    writer.kill();
    expect(await writer.ended).toMatchObject({ signal: 'SIGKILL', errors: '' });
    const last = new LedgerProcess(dir, { ...settings, commits: acknowledged + 60 });
    expect(await last.ended).toMatchObject({ code: 0, errors: '' });
  });
});
