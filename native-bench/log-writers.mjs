/*
 * Four ways to write a log, beside the raw loop of synchronous write and fdatasync: how many
 * durable records a second, how soon, and what each record costs the event loop and the machine.
 * Every writer has a zero-filled file of its own and runs in turn with the others in each round.
 */
import fs from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import zlib from 'node:zlib';
import { fileBytes, headerBytes, nextOffset, putFrame, sealGroup } from './log-common.mjs';
import {
  MainThreadWriter,
  writeDurably,
  writeNowThenSync,
  writeThenSync,
} from './log-writer-main.mjs';
import { ThreadWriter } from './log-writer-thread.mjs';
import {
  fixed,
  interleave,
  medianOf,
  openZeroFilled,
  printTable,
  quantile,
  withScratch,
} from './report.mjs';

const ROUNDS = 7;
const RUN_MS = 300;
const RECORD_BYTES = 100;
const BATCH_RECORDS = 1000;
const LATENCY_EVERY = 8;
const LOADS = [
  { name: '1 in flight', callers: 1, records: 1 },
  { name: '64 in flight', callers: 64, records: 1 },
  { name: '1024 in flight', callers: 1024, records: 1 },
  { name: 'batches of 1000, 8 in flight', callers: 8, records: BATCH_RECORDS },
];
const RAW = 'raw loop, one at a time';

export async function benchLogWriters() {
  await withScratch(async (directory) => {
    const file = (name) => path.join(directory, name);
    const fds = ['raw', 'a', 'b', 'c'].map((name) => openZeroFilled(file(name), fileBytes));
    fds.push(openZeroFilled(file('d'), fileBytes, fs.constants.O_DSYNC));
    const writers = {
      '(a) async write, async sync': new MainThreadWriter(fds[1], writeThenSync),
      '(b) sync write, async sync': new MainThreadWriter(fds[2], writeNowThenSync),
      '(c) log thread': new ThreadWriter(file('c')),
      '(d) async write, O_DSYNC': new MainThreadWriter(fds[4], writeDurably),
    };
    const cases = {};
    for (const load of LOADS) {
      cases[`${load.name}\n${RAW}`] = rawLoop(fds[0], load);
      for (const [name, writer] of Object.entries(writers)) {
        cases[`${load.name}\n${name}`] = () => runLoad(writer, load);
      }
    }
    const results = await interleave(ROUNDS, cases);
    for (const writer of Object.values(writers)) await writer.close();
    for (const fd of fds) {
      checkFile(fd);
      fs.closeSync(fd);
    }
    print(results);
  });
}

/** Each caller appends, waits until that is durable, and appends again. */
async function runLoad(writer, { callers, records }) {
  const payload = makePayload(records);
  const latencies = [];
  let running = true;
  let appended = 0;
  const caller = async () => {
    for (let turn = 0; running; turn++) {
      const start = turn % LATENCY_EVERY === 0 ? performance.now() : 0;
      await writer.append(payload());
      appended += records;
      if (start !== 0) latencies.push(performance.now() - start);
    }
  };
  const groups = writer.groups;
  const meter = startMeter();
  setTimeout(() => {
    running = false;
  }, RUN_MS);
  await Promise.all(Array.from({ length: callers }, caller));
  return { ...meter(appended), ...latency(latencies), groups: writer.groups - groups, appended };
}

function rawLoop(fd, { records }) {
  const group = Buffer.alloc(headerBytes + 8 + BATCH_RECORDS * (RECORD_BYTES + 4));
  const payload = makePayload(records);
  let offset = 0;
  return () => {
    const latencies = [];
    let appended = 0;
    let groups = 0;
    const meter = startMeter();
    for (const end = performance.now() + RUN_MS; performance.now() < end; groups++) {
      const start = performance.now();
      const bytes = sealGroup(group, putFrame(group, headerBytes, payload()), 1, groups);
      offset = nextOffset(offset, bytes);
      fs.writeSync(fd, group, 0, bytes, offset);
      fs.fdatasyncSync(fd);
      offset += bytes;
      appended += records;
      latencies.push(performance.now() - start);
    }
    return { ...meter(appended), ...latency(latencies), groups, appended };
  };
}

/** A record as it is, or a batch encoded anew each time, as a caller would have to. */
function makePayload(records) {
  const record = Buffer.alloc(RECORD_BYTES, 7);
  if (records === 1) return () => record;
  const batch = Buffer.alloc(records * (RECORD_BYTES + 4));
  return () => {
    let at = 0;
    for (let i = 0; i < records; i++) at = putFrame(batch, at, record);
    return batch;
  };
}

function startMeter() {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  return (records) => {
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    const { active } = performance.eventLoopUtilization(loop);
    return {
      rate: (records * 1000) / ms,
      loopMicros: (active * 1000) / records,
      cpuMicros: (user + system) / records,
    };
  };
}

function latency(found) {
  return { p50: quantile(found, 0.5), p99: quantile(found, 0.99) };
}

/** The first group of the file must verify: what was timed is a log that can be read. */
function checkFile(fd) {
  const header = Buffer.alloc(headerBytes);
  fs.readSync(fd, header, 0, headerBytes, 0);
  const body = Buffer.alloc(header.readUInt32LE(4));
  fs.readSync(fd, body, 0, body.length, headerBytes);
  if (body.length === 0 || zlib.crc32(body) !== header.readUInt32LE(20)) {
    throw new Error('the first group of a log does not verify');
  }
}

function print(results) {
  for (const load of LOADS) {
    const raw = medianOf(results.get(`${load.name}\n${RAW}`), 'rate');
    const rows = [...results]
      .filter(([key]) => key.startsWith(`${load.name}\n`))
      .map(([key, found]) => [
        key.split('\n')[1],
        fixed(medianOf(found, 'rate')),
        fixed(medianOf(found, 'rate') / raw, 2),
        fixed(medianOf(found, 'appended') / load.records / medianOf(found, 'groups'), 1),
        fixed(medianOf(found, 'p50'), 3),
        fixed(medianOf(found, 'p99'), 3),
        key.endsWith(RAW) ? 'all' : fixed(medianOf(found, 'loopMicros'), 2),
        fixed(medianOf(found, 'cpuMicros'), 2),
      ]);
    printTable(
      `Log writers, ${load.name}: medians of ${ROUNDS} interleaved rounds`,
      [
        'writer',
        'durable/s',
        'of raw',
        'frames/group',
        'p50 ms',
        'p99 ms',
        'loop µs/record',
        'CPU µs/record',
      ],
      rows,
    );
  }
}
