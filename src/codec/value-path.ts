/*
 * How a refusal names the place in a value: `a.b[3]`, `a.<map key 2>`. Pure; called by the encoder.
 */

/** One step from a container to an item: a property, an index, or a coded number below zero. */
export type Step = string | number;

export const STEP_MAP_KEY = 1;
export const STEP_MAP_VALUE = 2;
export const STEP_SET_ITEM = 3;
export const STEP_ENCODED = 4;

const STEP_KINDS = 5;
const STEP_NAMES = ['', 'map key', 'map value', 'set item'];

/** Codes a step that is neither a property nor an index, without an allocation. */
export function step(kind: number, index: number): Step {
  return -(index * STEP_KINDS + kind);
}

/** The path of the first `depth` steps; empty for the value itself. */
export function formatPath(steps: readonly Step[], depth: number): string {
  let path = '';
  for (let i = 0; i < depth; i++) path += formatStep(steps[i]!);
  return path.startsWith('.') ? path.slice(1) : path;
}

/** The kind of a value for an error: `function`, `null`, or the name of its class. */
export function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? className(value) : typeof value;
}

/** The name of an object's class, read without running code of the object. */
export function className(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null) return 'Object without prototype';
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  if (typeof type !== 'function') return 'Object with a prototype of its own';
  const name: unknown = Object.getOwnPropertyDescriptor(type, 'name')?.value;
  return typeof name === 'string' && name !== '' ? name : 'an unnamed class';
}

function formatStep(at: Step): string {
  if (typeof at === 'string') {
    return /^[\p{L}$_][\p{L}\p{N}$_]*$/u.test(at) ? `.${at}` : `[${JSON.stringify(at)}]`;
  }
  if (at >= 0 && !Object.is(at, -0)) return `[${at}]`;
  const kind = -at % STEP_KINDS;
  if (kind === STEP_ENCODED) return '.<encoded>';
  return `.<${STEP_NAMES[kind]} ${Math.floor(-at / STEP_KINDS)}>`;
}
