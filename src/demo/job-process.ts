/*
 * One life of the job: a forked process that runs until it has done everything or is killed. SIGKILL
 * cannot be caught, so nothing in the process gets a chance to tidy up.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Kill, KillPhase } from './kill-plan.ts';
import type { JobMessage, JobSettings, Opened, Progress } from './messages.ts';

/** One life of the job, as its parent saw it. */
export interface Life {
  /** What it was doing, as far as was heard; undefined: it was not killed. */
  readonly killedWhile: KillPhase | undefined;
  /** Undefined: it was killed before the engine was open. */
  readonly opened: Opened | undefined;
  /** The last that was heard. */
  readonly progress: Progress | undefined;
}

/** Told while a job runs. */
export interface LifeEvents {
  opened(opened: Opened): void;
  progress(progress: Progress): void;
}

const jobPath = fileURLToPath(new URL(`./job${extname(import.meta.url)}`, import.meta.url));

/** Starts the job and runs it to its end, or to the kill; anything else that ends it throws. */
export async function runLife(
  settings: JobSettings,
  kill: Kill | undefined,
  events: LifeEvents,
  signal: AbortSignal,
): Promise<Life> {
  const child = fork(jobPath, [JSON.stringify(withKillRow(settings, kill))]);
  const end = (): void => {
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', end);
  let opened: Opened | undefined;
  let progress: Progress | undefined;
  let struck: Promise<void> | undefined;
  let done = false;
  child.on('message', (raw) => {
    const message = raw as JobMessage;
    if (message.kind === 'opened') {
      opened = message;
      events.opened(message);
    }
    if (message.kind === 'progress' || message.kind === 'done') {
      progress = message;
      events.progress(message);
    }
    if (message.kind === 'done') done = true;
    const moment = kill?.phase === 'opening' ? 'opening' : 'reached';
    if (kill !== undefined && message.kind === moment) struck ??= strike(child, kill.delayMs);
  });
  // Messages that the process left in the channel are read before it counts as disconnected.
  const [[status, endedBy]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  signal.removeEventListener('abort', end);
  await struck;
  signal.throwIfAborted();
  if (struck === undefined ? !done || status !== 0 : endedBy !== 'SIGKILL') {
    throw new Error(`the job ended by itself: status ${String(status)}, signal ${String(endedBy)}`);
  }
  const killedWhile = struck && phaseOf(opened, progress);
  return { killedWhile, opened, progress };
}

/** A job that is to be struck has a row, also while opening, so that it cannot close before. */
function withKillRow(settings: JobSettings, kill: Kill | undefined): JobSettings {
  return kill === undefined ? settings : { ...settings, killRow: kill.row };
}

function phaseOf(opened: Opened | undefined, progress: Progress | undefined): KillPhase {
  if (opened === undefined) return 'opening';
  return progress?.checkpointing === true ? 'checkpointing' : 'committing';
}

async function strike(child: ChildProcess, delayMs: number): Promise<void> {
  await delay(delayMs);
  child.kill('SIGKILL');
}
