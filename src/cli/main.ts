#!/usr/bin/env node
/*
 * The command `tidemark`. Exit status: 0 fine, 1 faults found or nothing there, 2 wrong usage or an
 * error, whose code and message go to stderr. A reader that closes the pipe (`| head`) ends the
 * command quietly.
 */
import { closeQuietly } from './output.ts';
import { run } from './program.ts';

closeQuietly(process.stdout);
closeQuietly(process.stderr);
process.exitCode = await run(process.argv.slice(2), process.stdout, process.stderr);
