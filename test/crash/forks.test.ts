/*
 * Power losses in forks and restores: see declare-crashes.ts.
 */
import { declareCrashes } from './declare-crashes.ts';

declareCrashes(['forks', 'restores']);
