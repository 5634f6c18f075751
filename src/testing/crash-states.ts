/*
 * The disks that a crash at one point can leave: all of them where they are few; else those that
 * tell most (everything, nothing, each change alone lost, alone kept, torn, garbled, names without
 * data and data without names) and random ones, drawn from a seed.
 */
import {
  allDropped,
  allKept,
  everyPage,
  exceptFor,
  randomChoice,
  sectorBytes,
  type CrashChoice,
  type PageFate,
  type Unsynced,
} from './crash-fate.ts';
import type { CrashPoint, DiskImage } from './crash-point.ts';
import { knownOnly, wholeNumber } from '../std/option-checks.ts';
import { SeededRandom } from './seeded-random.ts';

/** How many disks are wanted, and which. */
export interface CrashStatesOptions {
  /** Most disks of one point. @defaultValue 16 */
  readonly statesMax?: number;
  /** Decides what is drawn. @defaultValue 1 */
  readonly seed?: number;
}

/** One disk that a crash can leave. */
export interface CrashState {
  /** What became of the changes that were not synced, in words. */
  readonly what: string;
  readonly disk: DiskImage;
}

interface Candidate {
  readonly what: string;
  readonly choice: CrashChoice;
}

const statesDefault = 16;
/** Of more changes than these, not every combination is tried. */
const changesMost = 12;

/**
 * Disks that a crash at the point can leave, each but once.
 * @throws InvalidArgumentError INVALID_OPTION
 */
export function crashStates(point: CrashPoint, options: CrashStatesOptions = {}): CrashState[] {
  knownOnly(options, ['statesMax', 'seed']);
  const { statesMax = statesDefault, seed = 1 } = options;
  wholeNumber('statesMax', statesMax, 1);
  const random = new SeededRandom(seed);
  const unsynced = point.unsynced();
  const found = new Map<string, CrashState>();
  for (const { what, choice } of candidates(unsynced, statesMax, random)) {
    if (found.size >= statesMax) break;
    const disk = point.image(choice, random);
    if (!found.has(disk.digest)) found.set(disk.digest, { what, disk });
  }
  return [...found.values()];
}

function candidates(
  unsynced: readonly Unsynced[],
  statesMax: number,
  random: SeededRandom,
): Candidate[] {
  const all = { what: 'everything kept', choice: allKept };
  if (unsynced.length === 0) return [all];
  const none = { what: 'nothing kept', choice: allDropped };
  const combinations = unsynced.reduce((product, one) => product * waysOf(one), 1);
  const isFew = unsynced.length <= changesMost && combinations <= statesMax;
  const telling = isFew ? everyCombination(unsynced) : drawn(singles(unsynced), random);
  const hurt = drawn(hurtPages(unsynced), random);
  const rest = Array.from({ length: statesMax }, (_, n) => ({
    what: `a random part kept (${n})`,
    choice: fixed(randomChoice(random), unsynced),
  }));
  // All kinds have their share, whatever the bound cuts off.
  return [all, none, ...splits(unsynced), ...interleaved(telling, hurt, rest)];
}

/** Ways in which one change can be there. */
function waysOf(one: Unsynced): number {
  return one.kind === 'size' ? one.sizes.length : 2;
}

function everyCombination(unsynced: readonly Unsynced[]): Candidate[] {
  let choices: { what: string[]; ways: number[] }[] = [{ what: [], ways: [] }];
  for (const one of unsynced) {
    choices = choices.flatMap(({ what, ways }) =>
      Array.from({ length: waysOf(one) }, (_, way) => ({
        what: [...what, `${labelOf(one)}=${way}`],
        ways: [...ways, way],
      })),
    );
  }
  return choices.map(({ what, ways }) => {
    const way = new Map(unsynced.map((one, i) => [keyOf(one), ways[i]!]));
    return {
      what: what.join(', '),
      choice: {
        page: (page) => (way.get(keyOf(page)) === 1 ? 'kept' : 'dropped'),
        size: (size) => way.get(keyOf(size))!,
        names: (names) => way.get(keyOf(names)) === 1,
      },
    };
  });
}

/** Names without data, data without names, data without sizes, and the other way around. */
function splits(unsynced: readonly Unsynced[]): Candidate[] {
  const kinds = new Set(unsynced.map(({ kind }) => kind));
  if (kinds.size < 2) return [];
  return [...kinds].flatMap((kind) => [
    {
      what: `only ${kind} kept`,
      choice: exceptFor(allDropped, allKept, (one) => one.kind === kind),
    },
    {
      what: `only ${kind} lost`,
      choice: exceptFor(allKept, allDropped, (one) => one.kind === kind),
    },
  ]);
}

/** Each write, size and change of names alone lost, and alone kept. */
function singles(unsynced: readonly Unsynced[]): Candidate[] {
  const groups = new Map<string, Unsynced>();
  for (const one of unsynced) groups.set(groupOf(one), one);
  return [...groups].flatMap(([group, one]) => {
    const concerns = (other: Unsynced): boolean => groupOf(other) === group;
    return [
      { what: `lost: ${labelOf(one)}`, choice: exceptFor(allKept, allDropped, concerns) },
      { what: `kept: ${labelOf(one)}`, choice: exceptFor(allDropped, allKept, concerns) },
    ];
  });
}

/** Each page alone dropped, torn or garbled. */
function hurtPages(unsynced: readonly Unsynced[]): Candidate[] {
  return unsynced.flatMap((one) => {
    if (one.kind !== 'page') return [];
    const key = keyOf(one);
    const hurt: PageFate[] = one.bytes > sectorBytes ? ['torn', 'garbled', 'dropped'] : ['garbled'];
    return hurt.map((fate) => ({
      what: `${fate}: ${labelOf(one)}`,
      choice: exceptFor(allKept, everyPage(fate), (other) => keyOf(other) === key),
    }));
  });
}

/** The same answers whenever it is asked. */
function fixed(choice: CrashChoice, unsynced: readonly Unsynced[]): CrashChoice {
  const pages = new Map<string, PageFate>();
  const sizes = new Map<string, number>();
  const names = new Map<string, boolean>();
  for (const one of unsynced) {
    if (one.kind === 'page') pages.set(keyOf(one), choice.page(one));
    else if (one.kind === 'size') sizes.set(keyOf(one), choice.size(one));
    else names.set(keyOf(one), choice.names(one));
  }
  return {
    page: (page) => pages.get(keyOf(page))!,
    size: (size) => sizes.get(keyOf(size))!,
    names: (one) => names.get(keyOf(one))!,
  };
}

function keyOf(one: Unsynced): string {
  if (one.kind === 'page') return `p${one.file}:${one.write}:${one.position}`;
  return one.kind === 'size' ? `s${one.file}` : `n${one.directory}:${one.change}`;
}

function groupOf(one: Unsynced): string {
  return one.kind === 'page' ? `p${one.file}:${one.write}` : keyOf(one);
}

function labelOf(one: Unsynced): string {
  if (one.kind === 'page') return `write ${one.write} of ${one.path} at ${one.position}`;
  if (one.kind === 'size') return `size of ${one.path}`;
  return `${one.directory}: +[${one.made.join(' ')}] -[${one.removed.join(' ')}]`;
}

/** The list in an order drawn at random. */
function drawn<T>(list: readonly T[], random: SeededRandom): T[] {
  const order = [...list];
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** Takes from each list in turn. */
function interleaved<T>(...lists: readonly (readonly T[])[]): T[] {
  const most = Math.max(...lists.map(({ length }) => length));
  const mixed: T[] = [];
  for (let i = 0; i < most; i++) {
    for (const list of lists) if (i < list.length) mixed.push(list[i]!);
  }
  return mixed;
}
