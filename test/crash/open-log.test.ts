/*
 * Crashes of `openLog` alone at every change of the disk (L1 to L12, O1 to O4, R2): see enumerate.ts.
 */
import { declareCrashes } from './declare-crashes.ts';

declareCrashes(['openLog: appends', 'openLog: rotation', 'openLog: trims', 'openLog: retention']);
