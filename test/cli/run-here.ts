/*
 * The command line, run in this process: quick, and its output as text.
 */
import { EventEmitter } from 'node:events';
import type { TextStream } from '../../src/cli/output.ts';
import { run } from '../../src/cli/program.ts';

/** How a command ended, and what it wrote. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runHere(...args: string[]): Promise<Ran> {
  const texts = { stdout: '', stderr: '' };
  const streamOf = (name: 'stdout' | 'stderr'): TextStream =>
    Object.assign(new EventEmitter(), {
      write(text: string) {
        texts[name] += text;
        return true;
      },
    });
  const status = await run(args, streamOf('stdout'), streamOf('stderr'));
  return { status, ...texts };
}
