/*
 * A process that commits until it is killed, and says on its standard output what was acknowledged,
 * line by line, with synchronous writes: what the reader of the pipe has not seen was not said.
 *
 *   opened N        the state is whole as of commit N (all of it was compared with the model)
 *   ack N           commit N is acknowledged at level 'disk'
 *   checkpoint, merge, collect, failure CODE
 *   refused CODE    there was no space; it is tried again
 *
 * Commit N sets, adds and appends at keys that follow from N alone, with position N: what the state
 * has to be is known from the position. node ledger-child.mjs DIR [OPTIONS as JSON]
 */
import { writeSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { openEngine } from '../../dist/bundle/index.js';
import { expectedOf, itemsMax, keyCount, textOf } from './ledger-model.mjs';

const [dir, json = '{}'] = process.argv.slice(2);
const {
  inFlight = 8,
  valueBytes = 40,
  commits = Infinity,
  pauseMs = 0,
  engine: options = {},
} = JSON.parse(json);

const sleeping = new Int32Array(new SharedArrayBuffer(4));

/** Waits while the pipe is full: what was said has to have been taken before anything follows. */
function say(line) {
  let bytes = Buffer.from(`${line}\n`);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(sleeping, 0, 0, 1);
    }
  }
}

const engine = await openEngine({
  dir,
  segmentBytesMax: 256 * 1024,
  undurableBytesMax: 64 * 1024,
  memtableBytesMax: 1024 * 1024,
  maxChainLength: 4,
  checkpointing: { entries: 400 },
  retention: { checkpoints: 2 },
  ...options,
});
const operator = engine.operator('ledger');
const values = operator.value('values');
const counters = operator.counter('counters');
const lists = operator.list('lists', { itemsMax });

/** Compares the whole state with what commits 1 to n make. */
function check(n) {
  for (let key = 0; key < keyCount; key++) {
    const found = { value: values.get(key), count: counters.get(key), items: lists.get(key) };
    const expected = expectedOf(key, n, valueBytes);
    if (isDeepStrictEqual(found, expected)) continue;
    throw new Error(
      `key ${key} is not as commits 1 to ${n} made it: ${JSON.stringify({ found, expected })}`,
    );
  }
}

let next = Number(engine.positions.ledger ?? 0);
check(next);
say(`opened ${next}`);
for (const name of ['checkpoint', 'merge', 'collect']) engine.on(name, () => say(name));
engine.on('failure', (error) => say(`failure ${error.code}`));

function change(n) {
  const key = n % keyCount;
  values.set(key, textOf(n, valueBytes));
  counters.add(key, 1);
  lists.append(key, n);
}

/** Whether commit N is durable. One that is refused for space is tried again, with one in flight. */
async function committed(n) {
  try {
    await engine.commit({ positions: { ledger: n } });
    return true;
  } catch (error) {
    if (inFlight > 1 || !['NO_SPACE', 'OVERLOADED'].includes(error.code)) throw error;
    engine.rollback();
    next = n - 1;
    say(`refused ${error.code}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  }
}

async function commitAll() {
  while (next < commits) {
    const n = ++next;
    change(n);
    if (!(await committed(n))) continue;
    say(`ack ${n}`);
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

await Promise.all(Array.from({ length: inFlight }, commitAll));
await engine.close();
say('closed');
