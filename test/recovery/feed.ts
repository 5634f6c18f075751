/*
 * What the tests of the feed of changes share.
 */
import type { ChangedCommit, Engine } from '../../src/engine/index.ts';

/** The next commits of a feed. */
export async function take(
  feed: AsyncGenerator<ChangedCommit>,
  count: number,
): Promise<ChangedCommit[]> {
  const commits: ChangedCommit[] = [];
  while (commits.length < count) {
    const next = await feed.next();
    if (next.done) throw new Error('the feed has ended');
    commits.push(next.value);
  }
  return commits;
}

/** Their LSNs. */
export const lsns = (commits: readonly ChangedCommit[]): number[] => commits.map(({ lsn }) => lsn);

/** All that a feed gives. */
export async function rest(feed: AsyncIterable<ChangedCommit>): Promise<ChangedCommit[]> {
  const commits: ChangedCommit[] = [];
  for await (const commit of feed) commits.push(commit);
  return commits;
}

/** Commits numbers, with a position each. */
export async function commitNumbers(engine: Engine, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) {
    engine.operator('op').value('v').set('k', n);
    await engine.commit({ positions: { n }, metadata: { n } });
  }
}
