/*
 * What the files of a store are, by their paths.
 */
const kinds: readonly [string, RegExp][] = [
  ['left over', /\.tmp$|~staging\//],
  ['segment', /\.wal$/],
  ['segment to come', /\.new$/],
  ['record', /checkpoints\/\d+\.json$/],
  ['drop mark', /\.dropped$/],
  ['timeline', /timelines\//],
  ['snapshot', /snapshots\//],
  ['low-water', /low-water\.json$/],
  ['mark of the log', /log-mark\.json$/],
  ['identity', /store\.json$/],
  ['recording', /recordings\//],
  ['manifest', /backup\.json$/],
  ['restore mark', /RESTORING$/],
  ['claim', /CLAIMED$/],
];

/** What a file is. */
export function kindOf(path: string): string {
  const kind = kinds.find(([, pattern]) => pattern.test(path));
  if (!kind) throw new Error(`no kind for ${path}`);
  return kind[0];
}
