/*
 * Stores of which something is damaged, for the tests of what an opening, a repair and a salvage make
 * of them.
 */
import { flipByte } from '../tools/flip-byte.ts';
import { open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { changes, type CrashChoice, type FaultyFileSystem } from '../tools/faulty-file-system.ts';

/** A log that is quick to copy. */
export const shortLog = {
  segmentBytesMax: 16_384,
  undurableBytesMax: 2048,
  checkpointing: false,
} as const;

/**
 * Four commits, of which the first and the third have a checkpoint: the key `k` holds the last of the
 * words `first`, `second`, `third`, `fourth`, and `k1` … `k4` one each.
 */
export async function fourCommits(): Promise<World> {
  const world = worldOn();
  const engine = await open(world, { ...shortLog, compression: 'none' });
  const state = engine.operator('op').value('v');
  for (const [i, value] of ['first', 'second', 'third', 'fourth'].entries()) {
    state.set('k', value);
    state.set(`k${i + 1}`, value);
    engine.operator('op').blob('b').set('big', new Uint8Array(1500).fill(i));
    await engine.commit({ positions: { source: i + 1 } });
    if (i % 2 === 0) await engine.checkpoint();
  }
  await engine.close();
  return world;
}

/** Flips a byte of the log where a text stands. */
export async function flipInLog(world: World, text: string): Promise<void> {
  await flipIn(world, 'wal', text);
}

/** Flips a byte of a file of a directory where a text stands. */
export async function flipIn(world: World, directory: string, text: string): Promise<void> {
  for (const path of await pathsIn(world.fs, directory)) {
    const at = Buffer.from(await world.fs.read(path)).indexOf(text);
    if (at < 0) continue;
    await flipByte(world.fs, path, at);
    return;
  }
  throw new Error(`${directory} does not hold ${text}`);
}

/** Flips a byte in the middle of a file. */
export async function flipMiddle(world: World, path: string): Promise<void> {
  await flipByte(world.fs, path, Math.floor((await world.fs.read(path)).length / 2));
}

/** What a power loss before each change of an action, and behind the last, leaves. */
export async function cutEverywhere(
  { fs }: World,
  choices: readonly CrashChoice[],
  act: () => Promise<unknown>,
): Promise<FaultyFileSystem[]> {
  const cuts: Promise<FaultyFileSystem>[] = [];
  fs.before = (call) => {
    if (changes(call)) for (const choice of choices) cuts.push(fs.crash(choice));
  };
  await act();
  fs.before = () => {};
  return Promise.all([...cuts, ...choices.map((choice) => fs.crash(choice))]);
}
