/*
 * What stands between a figure and its aim, for aims that are missed: found by profiles, said without
 * figures, which the tables have. A reason is only printed where one of its aims is missed.
 */
const reasons = [
  {
    of: /^(engine, one entry|log alone, one record)/,
    text:
      'One caller: between two writes stand a turn of the event loop, which others need, promises, and the encoding and ' +
      'checking of entry and group. Until a file has shown that it is quick, and whenever it is not, a thread of the pool writes ' +
      '([ADR 43](adr/0043-held-writes.md)).',
  },
  {
    of: /^log alone, (p99 of a batch|batches of 1000: p99)/,
    text:
      'Latency of batches: while the log is written, the next segment is filled with zeros on the same disk, so that a commit ' +
      'needs no change of the file system; and a rotation makes four syncs, one behind the other, before it takes a batch. ' +
      'Batches that come meanwhile wait; longest for the sync behind the removal of a segment that was trimmed, where the volume is mounted with ' +
      '`discard`. The median is that of a log that does none of it.',
  },
  {
    of: /^log alone, (single records: rate|1024 in flight)/,
    text:
      'Single records: each is a promise of its own on the main thread. Where they come faster than they are answered for a ' +
      'while, those that wait live long enough to cost the collector more than new ones do, and the rate does not come back by itself.',
  },
  {
    of: /^engine, 8 in flight/,
    text:
      'Batches beside encoding and `Map.set`: a key is also looked up, since a transaction may be undone; its cell has LSN, time, ' +
      'expiry and event time; and it is encoded into a record that is checked and logged. Lookups in memtables miss the caches ' +
      'of the processor as those of a Map do; cells that live until a checkpoint are copied by the collector twice; and on two cores ' +
      'checkpoints take turns with the main thread.',
  },
  {
    of: /: file, (none|lz4)$/,
    text:
      'Merges into files: merging itself is ahead of the aim (slices). A file adds compression, a checksum of each block, a digest ' +
      'of the whole file and its syncs, on the same core.',
  },
  {
    of: /^from its snapshot/,
    text:
      'Opening from a snapshot: entries are small here, and each costs its place in the index and a check beside its bytes; the limit ' +
      'only decompresses. Memory that is touched for the first time is cleared by the kernel, which larger entries are bound by ' +
      '([ADR 37](adr/0037-openings-by-all-threads.md)).',
  },
  {
    of: /^open and first read/,
    text: 'Opening and first read: most of it is compiling and loading native modules in a fresh process.',
  },
  {
    of: /^delay of the loop/,
    text: 'Delays of the loop during a checkpoint: collections of garbage, and threads that share two cores with the main thread.',
  },
  {
    of: /^\(a\) .* keys, 1 in flight/,
    text:
      'One caller beside an engine that commits in the calling thread: that one makes its system calls and nothing else; here a turn of the event ' +
      'loop stands between two commits.',
  },
  {
    of: /^\([ab]\) sequential keys, (64|1024|1) in flight/,
    text:
      'Sequential keys: the best case of a B-tree, where each key goes behind the last and a page is written once. Memtables hash keys, ' +
      'so their order gains nothing. lmdb also writes in a thread of its own, beside the caller; here the main thread does the work.',
  },
  {
    of: /^\([ab]\) random keys, (64|1024) in flight/,
    text:
      'Many callers with random keys: what they ask for at the same time is one transaction of a B-tree, which then touches each page once for many ' +
      'entries; the more are in flight, the closer it comes to sorted keys. With one batch in flight it cannot.',
  },
  {
    of: /^\(b\) random keys, 1 in flight/,
    text:
      'One batch in flight with random keys: an engine with a log and a table in memory, as LevelDB is, does what Tidemark does here; ' +
      'and what the caller itself does for its entries stands in the time of all.',
  },
  {
    of: /^\(c\) .* cold/,
    text: 'Cold keys: a lookup in images hashes the key, misses the caches of the processor in index and slab, and decodes the value.',
  },
  {
    of: /^\(f\) .* time/,
    text:
      'Time of an image: a copy moves pages that are in memory, at the speed of memory, and grows with the state. A checkpoint sorts, ' +
      'compresses and hashes what changed, and syncs a file, its name, a record and its name, one behind the other; it grows with the change.',
  },
  {
    of: /^\(i\)/,
    text: 'The job: encoding small objects, and collecting what they leave, is most of the time of the main thread.',
  },
];

/** The reasons for missed aims, by their names, each once; and the aims for which there is none. */
export function reasonsFor(missed) {
  const found = reasons.filter(({ of }) => missed.some((name) => of.test(name)));
  return {
    texts: found.map(({ text }) => text),
    without: missed.filter((name) => found.every(({ of }) => !of.test(name))),
  };
}
