/*
 * Crashes at every change of the disk (L1 to L12, O1 to O5, C1 to C5, R1, R2): see enumerate.ts.
 */
import { declareCrashes } from './declare-crashes.ts';

declareCrashes(['openings', 'repair of a torn tail', 'timelines']);
