/*
 * What `openLog` alone is doing when the power goes.
 */
import { LogScript } from './log-script.ts';
import type { Durability } from '../../src/wal/log-options.ts';

const levels: readonly Durability[] = ['memory', 'os', 'disk', 'os', 'memory', 'disk'];

async function started(options: LogScript['options'] = {}): Promise<LogScript> {
  const script = new LogScript();
  script.record();
  await script.open(options);
  return script;
}

async function ended(script: LogScript): Promise<LogScript> {
  await script.close();
  script.note();
  return script;
}

/** Single records and batches, from a byte to more than a segment, alone and in flight. */
export async function logAppends(): Promise<LogScript> {
  const script = await started();
  for (const bytes of [1, 511, 513, 4096, 9000, 30]) await script.append([bytes]);
  for (const count of [2, 7, 40]) {
    await script.append(Array.from({ length: count }, (_, n) => 20 + n * 30));
  }
  for (let round = 0; round < 4; round++) {
    for (const [n, level] of levels.entries()) {
      script.start(n % 2 === 0 ? [60 + 200 * (round % 3)] : [30, 300, 30], level);
    }
    if (round % 2 === 0) await script.settled();
    else await script.append([700]);
  }
  await script.settled();
  return ended(script);
}

/** Rotation, with batches that cross the room that is left, and a compressed log. */
export async function logRotation(): Promise<LogScript> {
  const script = await started({ logCompression: { codec: 'lz4', bytesMin: 0 } });
  for (let n = 0; n < 10; n++) {
    script.start([900 + 100 * n, 400], n % 3 === 0 ? 'os' : 'disk');
    await script.append([1200, 20, 1200]);
  }
  await script.settled();
  return ended(script);
}

/** Trims between appends, closes and openings; the low-water record is put before anything goes (R2). */
export async function logTrims(): Promise<LogScript> {
  const script = await started();
  for (let round = 0; round < 4; round++) {
    for (let n = 0; n < 4; n++) await script.append([2500, 100]);
    script.start([50], 'os');
    await script.trim(script.acknowledged - 4);
    await script.settled();
    if (round % 2 === 1) {
      await script.close();
      await script.open();
    }
  }
  return ended(script);
}

/** Segments that go by themselves, behind rotations and openings. */
export async function logRetention(): Promise<LogScript> {
  const script = await started({ retain: { segments: 2 }, cleanupMs: false });
  for (let round = 0; round < 4; round++) {
    for (let n = 0; n < 5; n++) await script.append([2500, 100]);
    script.start([50], 'memory');
    await script.settled();
    await script.close();
    await script.open();
  }
  return ended(script);
}
