/*
 * What people write by hand: a `Map`, and a snapshot of all of it, written beside the old one,
 * synced and renamed over it. As JSON, or with msgpackr. A commit is not durable before the next
 * snapshot, so works that need durable commits are refused.
 */
import fs from 'node:fs';
import path from 'node:path';
import { load, versionOf } from '../install.mjs';

const why = 'nothing is durable before the next snapshot of everything';
const refused = { a: why, b: why, d: why, e: why, i: why };

const formats = {
  JSON: {
    // By parts, since a string has at most half a GiB; bytes as base64, as JSON has none.
    *encode(map) {
      let part = [];
      for (const [key, value] of map) {
        const kept = Buffer.isBuffer(value) ? { base64: value.toString('base64') } : value;
        part.push(JSON.stringify([key, kept]));
        if (part.length < 10_000) continue;
        yield Buffer.from(`${part.join('\n')}\n`);
        part = [];
      }
      if (part.length > 0) yield Buffer.from(`${part.join('\n')}\n`);
    },
    decode(bytes, map) {
      for (let from = 0; from < bytes.length;) {
        const to = bytes.indexOf(10, from);
        const [key, value] = JSON.parse(bytes.toString('utf8', from, to));
        map.set(key, value.base64 === undefined ? value : Buffer.from(value.base64, 'base64'));
        from = to + 1;
      }
    },
  },
  msgpackr: {
    *encode(map) {
      const { pack } = load('msgpackr');
      let part = [];
      const finish = () => {
        const bytes = pack(part);
        const length = Buffer.alloc(4);
        length.writeUInt32LE(bytes.length);
        part = [];
        return Buffer.concat([length, bytes]);
      };
      for (const pair of map) if (part.push(pair) === 10_000) yield finish();
      if (part.length > 0) yield finish();
    },
    decode(bytes, map) {
      const { unpack } = load('msgpackr');
      for (let from = 0; from < bytes.length;) {
        const length = bytes.readUInt32LE(from);
        const part = unpack(bytes.subarray(from + 4, from + 4 + length));
        for (const [key, value] of part) map.set(key, value);
        from += 4 + length;
      }
    },
  },
};

/** A contender with snapshots of one format. */
export function mapContender(format) {
  return {
    name: `Map, ${format}`,
    durability: 'the last snapshot: fsync, rename, fsync of the directory',
    refuses: refused,
    version: () =>
      format === 'JSON' ? process.version : load('msgpackr') && versionOf('msgpackr'),
    open: async (dir) => new Store(dir, formats[format]),
  };
}

class Store {
  reads = 'synchronous';
  #map = new Map();
  #file;
  #format;

  constructor(dir, format) {
    this.#file = path.join(dir, 'snapshot');
    this.#format = format;
    if (fs.existsSync(this.#file)) format.decode(fs.readFileSync(this.#file), this.#map);
  }

  async commit(entries) {
    for (const [key, value] of entries) this.#map.set(key, value);
  }

  async remove(keys) {
    for (const key of keys) this.#map.delete(key);
  }

  get(key) {
    return this.#map.get(key);
  }

  async walk() {
    let bytes = 0;
    for (const value of this.#map.values()) bytes += value.length ?? 1;
    return { entries: this.#map.size, bytes };
  }

  async settle() {
    const staged = `${this.#file}.new`;
    const fd = fs.openSync(staged, 'w');
    for (const part of this.#format.encode(this.#map)) fs.writeSync(fd, part);
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    fs.renameSync(staged, this.#file);
    const directory = fs.openSync(path.dirname(this.#file), 'r');
    fs.fsyncSync(directory);
    fs.closeSync(directory);
  }

  async copy() {
    await this.settle();
    return { bytes: fs.statSync(this.#file).size };
  }

  async compact() {
    await this.settle();
  }

  close() {
    return this.settle();
  }
}
