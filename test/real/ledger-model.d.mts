/** Types of ledger-model.mjs, which runs uncompiled in a process of its own. */
export const keyCount: number;
export const itemsMax: number;
export function textOf(n: number, valueBytes: number): string;
export function expectedOf(
  key: number,
  n: number,
  valueBytes: number,
): {
  readonly value: string | undefined;
  readonly count: number;
  readonly items: readonly number[];
};
