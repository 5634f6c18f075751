/*
 * What savings are measured on: the flights of the demo, and records of an operator as JSON.
 */
import { openFlights } from '../../dist/demo/flights.js';
import { addFlight, jobStates } from '../../dist/demo/states.js';

/** Numbers from 0 to 1 from a seed, the same again each time. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Adds flights to the states of the demo, with commits of a thousand and checkpoints between. */
export async function fillFlights(engine, events, eventsPerCheckpoint) {
  const flights = await openFlights();
  const states = jobStates(engine);
  for await (const batch of flights.read(0, events)) {
    for (let row = batch.from; row < batch.to; row++) {
      addFlight(states, batch, row);
      const done = row + 1;
      if (done % 1000 === 0) await engine.commit({ positions: { flights: done } });
      if (done % eventsPerCheckpoint === 0) await engine.checkpoint();
    }
  }
  await engine.commit({ positions: { flights: events } });
}

/** Records of an operator, such as a session store keeps, of about so many bytes as JSON. */
export function makeRecords(bytes) {
  const next = random(3);
  const records = [];
  for (let size = 0; size < bytes;) {
    const record = {
      id: `session-${Math.floor(next() * 2 ** 32).toString(16)}`,
      user: Math.floor(next() * 1e6),
      lastSeen: 1_700_000_000_000 + Math.floor(next() * 1e9),
      pages: Math.floor(next() * 40),
      amount: Math.round(next() * 1e5) / 100,
      country: ['DE', 'FR', 'US', 'IN', 'BR'][Math.floor(next() * 5)],
    };
    records.push(record);
    size += JSON.stringify(record).length + 1;
  }
  return records;
}

export const jsonOf = (records) => JSON.stringify(records);

function change(record, next) {
  record.lastSeen += Math.floor(next() * 1e6);
  record.pages += 1;
  record.amount = Math.round(next() * 1e5) / 100;
}

/** Changes a part of the records that are neighbours: a hot range, or what came last. */
export function changeClustered(records, part, next) {
  const count = Math.round(records.length * part);
  const start = Math.floor(next() * (records.length - count));
  for (let i = 0; i < count; i++) change(records[start + i], next);
}

/** Changes a part of the records anywhere. */
export function changeScattered(records, part, next) {
  const count = Math.round(records.length * part);
  for (let i = 0; i < count; i++) change(records[Math.floor(next() * records.length)], next);
}
