/*
 * The aims beside peers: for which cases of a work, against whom, how many times as good.
 */
import { rowsOf } from '../peers/table.mjs';

const anyCase = () => true;
const random = ({ parameters: { order } }) => order === 'random';
const sequential = ({ parameters: { order } }) => order === 'sequential';
const by = (depth, orderIs) => (one) => one.parameters.depth === depth && orderIs(one);
/** Peers whose files are compressed in work (h). */
const compressed = ['lmdb', 'classic-level', 'rocksdb-native'];

const aims = [
  { letter: 'a', metric: 'rate', of: by(1, anyCase), least: 1 },
  { letter: 'a', metric: 'rate', of: by(1024, random), least: 3 },
  { letter: 'a', metric: 'rate', of: by(1024, sequential), least: 1 },
  { letter: 'b', metric: 'rate', of: random, least: 5 },
  { letter: 'b', metric: 'rate', of: sequential, least: 1 },
  { letter: 'c', metric: 'cold', of: anyCase, least: 1, peers: ['lmdb'] },
  { letter: 'c', metric: 'hot', of: anyCase, least: 0.5, peers: ['Map, JSON', 'Map, msgpackr'] },
  { letter: 'd', metric: 'rate', of: anyCase, least: 1 },
  { letter: 'e', metric: 'rate', of: anyCase, least: 1 },
  { letter: 'f', metric: 'bytes', of: anyCase, least: 20 },
  { letter: 'f', metric: 'ms', of: anyCase, least: 10 },
  { letter: 'h', metric: 'diskBytes', of: anyCase, least: 1 / 1.2, peers: compressed },
  { letter: 'i', metric: 'rate', of: anyCase, least: 2 },
];

/** Every aim for every case that was run: the peer that is nearest, and how far ahead of it we are. */
export function judgeAims(works) {
  return aims.flatMap(({ letter, metric: name, of, least, peers }) => {
    const work = works.find((found) => found.letter === letter);
    const metric = work?.metrics.find((found) => found.name === name);
    return (work?.cases ?? []).filter(of).flatMap((one) => {
      const rows = rowsOf(work, one, metric).filter(
        ({ title, ahead }) => ahead !== undefined && (peers?.includes(title) ?? true),
      );
      const nearest = rows.toSorted((a, b) => a.ahead - b.ahead)[0];
      if (nearest === undefined) return [];
      const { title: peer, ahead } = nearest;
      const about = `(${letter}) ${one.name}, ${metric.title ?? metric.name}`;
      return [{ about, peer, ahead, least, met: ahead >= least }];
    });
  });
}
