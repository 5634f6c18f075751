/** Types of bundle.mjs, which runs uncompiled. */
export const entries: Readonly<Record<string, string>>;
export function bundle(): Promise<void>;
