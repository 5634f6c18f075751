/*
 * Other processes beside a writer at full speed, with checkpoints, merges and collections: each sees
 * one whole moment or nothing; nobody writes beside the holder, running, stopped or gone; and a copy
 * by hand opens at one moment, or is refused.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  backup,
  inspectStore,
  openEngine,
  openReader,
  TidemarkError,
  verifyStore,
  type Operator,
} from '../../src/engine/index.ts';
import { LedgerProcess } from './ledger.ts';
import { expectedOf, itemsMax, keyCount } from './ledger-model.mjs';

const run = promisify(execFile);
const valueBytes = 40;
const rounds = Number(process.env['TIDEMARK_ROUNDS'] ?? 4);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemark-beside-'));
});
const writers: LedgerProcess[] = [];
afterEach(async () => {
  // After a failure; a test that passes has ended its own.
  for (const writer of writers.splice(0)) {
    writer.kill();
    await writer.ended;
  }
});
afterAll(() => rm(root, { recursive: true }));

/** Resolves once it has merged, so that everything it does has begun. */
async function writerOn(dir: string): Promise<LedgerProcess> {
  const writer = new LedgerProcess(dir, { inFlight: 16, valueBytes });
  writers.push(writer);
  await writer.line((line) => line === 'merge');
  return writer;
}

async function ended(writer: LedgerProcess): Promise<void> {
  writer.kill();
  expect((await writer.ended).errors).toBe('');
}

/** The commit whose state a directory holds, all of it compared with the model. */
async function wholeAsOf(dir: string): Promise<number> {
  const engine = await openEngine({ dir, checkpointing: false });
  try {
    const n = (engine.positions['ledger'] as number | undefined) ?? 0;
    expectWhole(engine.operator('ledger'), n);
    return n;
  } finally {
    await engine.close();
  }
}

function expectWhole(operator: Operator, n: number): void {
  const values = operator.value<string>('values');
  const counters = operator.counter('counters');
  const lists = operator.list<number>('lists', { itemsMax });
  for (let key = 0; key < keyCount; key++) {
    const found = { value: values.get(key), count: counters.get(key), items: lists.get(key) };
    expect(found, `key ${key} behind commit ${n}`).toEqual(expectedOf(key, n, valueBytes));
  }
}

test('readers, inspect and verify in a loop: no fault, and each reading is one whole moment', async () => {
  const dir = join(root, 'read');
  const writer = await writerOn(dir);
  let last = 0;
  for (let round = 0; round < 3 * rounds; round++) {
    const acknowledged = writer.acknowledged;
    const inspection = await inspectStore({ dir });
    expect(inspection.faults).toEqual([]);
    const report = await verifyStore({ dir });
    expect(report.faults).toEqual([]);
    const reader = await openReader({ dir });
    const n = reader.positions()['ledger'] as number;
    expect(n).toBeGreaterThanOrEqual(Math.max(acknowledged, last));
    last = n;
    for (let key = 0; key < keyCount; key++) {
      const { value, count } = expectedOf(key, n, valueBytes);
      expect(reader.get('ledger', 'values', key)?.value).toBe(value);
      expect(reader.get('ledger', 'counters', key)?.value ?? 0).toBe(count);
    }
    await reader.close();
  }
  await ended(writer);
});

test('backups in a loop: each opens, whole, at a moment that was durable', async () => {
  const dir = join(root, 'backed');
  const writer = await writerOn(dir);
  let last = 0;
  for (let round = 0; round < rounds; round++) {
    const to = join(root, 'backup');
    await backup({ from: { dir }, to });
    const copy = join(root, `copy-${round}`);
    await run('cp', ['-r', to, copy]);
    const n = await wholeAsOf(copy);
    // Nothing above what is proved is given out (F3), which may be less than was acknowledged.
    expect(n).toBeGreaterThanOrEqual(last);
    last = n;
  }
  await ended(writer);
});

test('copies by hand while it writes: each opens, whole, at one moment, or is refused with its fault', async () => {
  const dir = join(root, 'copied');
  const writer = await writerOn(dir);
  const outcomes: string[] = [];
  for (let round = 0; round < 2 * rounds; round++) {
    const copy = join(root, `hand-${round}`);
    // A file that is collected while it is copied makes `cp` fail; what it has copied is there.
    await run('cp', ['-r', dir, copy]).catch(() => {});
    try {
      outcomes.push(`opens at ${await wholeAsOf(copy)}`);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      outcomes.push(error.code);
    }
  }
  await ended(writer);
  // What may refuse a copy that holds files of different moments: nothing else may.
  for (const outcome of outcomes) {
    expect(outcome).toMatch(/^(opens at \d+|LOG_HOLE|CORRUPT_\w+|BROKEN_CHAIN|NOT_A_STORE)$/);
  }
});

test('a second engine: LOCKED beside a writer that runs or is stopped; opens when it was killed', async () => {
  const dir = join(root, 'locked');
  const writer = await writerOn(dir);
  const opening = (): Promise<unknown> => openEngine({ dir });
  await expect(opening()).rejects.toMatchObject({ code: 'LOCKED' });
  writer.kill('SIGSTOP');
  await expect(opening()).rejects.toMatchObject({ code: 'LOCKED' });
  // Reading goes on beside a writer that stands still in the middle of whatever it did.
  expect((await verifyStore({ dir })).faults).toEqual([]);
  const reader = await openReader({ dir });
  expect(reader.positions()['ledger']).toBeGreaterThanOrEqual(writer.acknowledged);
  await reader.close();
  await ended(writer);
  expect(await wholeAsOf(dir)).toBeGreaterThanOrEqual(writer.acknowledged);
});
