/*
 * A sync of the log that fails is never tried again: on Linux the next one succeeds, and what the
 * first was about is on no disk.
 */
import { expect, test } from 'vitest';
import { SimulatedFileSystem } from '../../src/testing/index.ts';
import { Script } from '../crash/script.ts';

test.each(['os', 'disk'] as const)(
  'L11 the sync behind a commit of level %s fails once: outcome unknown, no second sync, nothing acknowledged is lost',
  async (level) => {
    const fs = new SimulatedFileSystem();
    const script = new Script(fs);
    await script.open();
    await script.commit(20, level);
    const syncs: string[] = [];
    const fault = fs.inject({ call: 'sync', path: /\.wal$/, nth: 1, error: 'EIO' });
    fs.beforeCall = ({ call, path }) => {
      if (call === 'sync' && path.endsWith('.wal')) syncs.push(path);
    };
    await expect(script.commit(20)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect([syncs.length, fault.struck]).toEqual([1, 1]);
    expect(script.engine.stats().poisoned).toBeDefined();
    await script.engine.close();
    expect(syncs).toHaveLength(1);
    const again = new Script(fs.crash('dropped'), script.expected, 10);
    await again.open();
    expect(again.engine.recovery.lsn).toBeGreaterThanOrEqual(script.acknowledged);
    await again.close();
  },
);
