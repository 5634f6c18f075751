/*
 * Durable commits by one caller, against raw write and fdatasync in the same file layout. A record of
 * 100 bytes is a group of 192 bytes in the log, so the limit writes as many.
 */
import { openEngine } from '../../../dist/bundle/index.js';
import { openLog } from '../../../dist/bundle/log.js';
import { drive, inFresh, rawSync } from './raw-sync.mjs';

const groupBytes = 192;

export async function benchmark({ quick, directory }) {
  // Full: the segment that is filled with zeros behind an opening is a small part of the time.
  const count = quick ? 1000 : 20_000;
  const limit = 'limit: raw write + fdatasync, 192 B';
  const aim = { text: '0.8 of the raw loop', ratioMin: 0.8 };
  const value = Buffer.alloc(84, 7);
  return {
    title: 'Durable commits by one caller',
    cases: [
      {
        name: limit,
        unit: 'commits/s',
        run: () => (count * 1000) / rawSync(directory, { count, bytes: groupBytes }),
      },
      {
        name: 'engine, one entry of 100 bytes',
        unit: 'commits/s',
        limit,
        aim,
        run: () =>
          inFresh(directory, async (dir) => {
            const engine = await openEngine({ dir });
            const state = engine.operator('bench').value('state');
            const ms = await drive(count, 1, (i) => {
              state.set(i % 100_000, value);
              return engine.commit();
            });
            await engine.close();
            return (count * 1000) / ms;
          }),
      },
      {
        name: 'log alone, one record of 100 bytes',
        unit: 'commits/s',
        limit,
        aim,
        run: () =>
          inFresh(directory, async (dir) => {
            const log = await openLog({ dir });
            const record = Buffer.alloc(100, 7);
            const ms = await drive(count, 1, () => log.append(record));
            await log.close();
            return (count * 1000) / ms;
          }),
      },
    ],
  };
}
