/*
 * Power losses in forks: see declare-crashes.ts.
 */
import { declareCrashes } from './declare-crashes.ts';

declareCrashes(['forks']);
