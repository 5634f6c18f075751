/*
 * What a simulation draws from its seed: changes, settings of an opening, faults.
 */
import type { EngineOptions } from '../../src/engine/index.ts';
import type { Fault, SeededRandom } from '../../src/testing/index.ts';
import { operatorNames, type Step } from '../engine/crash-model.ts';

const whats: readonly Step['what'][] = [
  'set',
  'set',
  'set',
  'delete',
  'clearAll',
  'mapSet',
  'mapSet',
  'mapDelete',
  'mapClear',
  'append',
  'append',
  'listClear',
  'add',
  'add',
  'counterDelete',
  'blobSet',
  'blobDelete',
  'low',
  'lowDelete',
  'patch',
  'patch',
  'recordSet',
  'recordDelete',
];

export function randomStep(random: SeededRandom): Step {
  return {
    on: random.pick(operatorNames),
    what: random.pick(whats),
    key: random.pick(['a', 'b', 1, '1', 2]),
    subKey: random.pick([1, 2]),
    value: random.below(101) - 50,
    ttlMs: random.pick([undefined, undefined, null, 1, 3, 10]),
  };
}

/** How an opening looks after its checkpoints, chain and log. */
export function randomPolicy(random: SeededRandom): Partial<EngineOptions> {
  return {
    maxChainLength: random.pick([1, 2, 3, 8]),
    restoreBytesMax: random.pick([1000, 10_000, 1_000_000]),
    mergeBytesPerLogByteMax: random.pick([0.5, 10, 1e6]),
    checkpointing: random.pick([false, false, { commits: 2 }, { intervalMs: 3 }]),
    merge: { strategy: random.pick(['sequential', 'optimal', 'parallel']) },
    retention: random.pick([false, { checkpoints: 1 }, { checkpoints: 3, windowMs: 3 }]),
    logCompression: random.pick(['none', { codec: 'lz4', bytesMin: 0 }]),
    groupRecordsMax: random.pick([1, 65_536]),
  };
}

const faults: readonly Fault[] = [
  { call: 'write', error: 'EIO' },
  { call: 'write', error: 'ENOSPC', bytes: 700 },
  { call: 'sync', error: 'EIO' },
  { call: 'sync', error: 'EIO', path: /wal$/ },
  { call: 'syncDirectory', error: 'EIO' },
  { call: ['rename', 'link', 'unlink'], error: 'EIO' },
  { call: 'rename', error: 'EIO', afterwards: true },
  { call: 'open', error: 'EMFILE' },
  { call: ['read', 'size', 'stat', 'list'], error: 'EIO' },
];

/** Strikes one of the next calls that it concerns, or each from then on for a while. */
export function randomFault(random: SeededRandom): Fault {
  const fault = random.pick(faults);
  return random.below(3) === 0
    ? { ...fault, from: 1 + random.below(20), times: 1 + random.below(5) }
    : { ...fault, nth: 1 + random.below(30) };
}
