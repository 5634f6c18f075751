/*
 * Figures that are published for engines of this kind, as bars to stand beside ours. They come from
 * the project's aims, where they stand as claims of the field, without machine, record size or
 * durability; no page that measures them was found, so they are compared with what is durable here,
 * the strictest level.
 */
export const published = {
  wal: 'log: 500 K records/s with p99 0.1 ms by single records, 2 M/s with p99 0.5 ms by batches',
  merge: 'merging: 100 MB/s',
  recovery: 'recovery: 200 MB/s',
  compression: 'compression saves 60–80 %',
  deduplication: 'deduplication saves 10–30 %',
  chain: 'optimising chains saves 20–40 %',
};
