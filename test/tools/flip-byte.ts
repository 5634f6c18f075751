/*
 * Damage of one byte.
 */
import type { FaultyFileSystem } from './faulty-file-system.ts';

export async function flipByte(fs: FaultyFileSystem, path: string, at: number): Promise<void> {
  const bytes = (await fs.read(path)).slice();
  bytes[at]! ^= 0x20;
  await fs.put(path, bytes);
}
