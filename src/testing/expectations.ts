/*
 * Checks of the conformance suite. They need no test runner, so that the suite runs under any.
 */
import { AssertionError } from 'node:assert';

/** Fails a case with a message. */
export function fail(message: string): never {
  throw new AssertionError({ message, stackStartFn: fail });
}

/** Fails unless the condition holds. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError({ message, stackStartFn: check });
}

/** Fails unless an object is there and has exactly these bytes. */
export function checkBytesEqual(
  actual: Uint8Array | undefined,
  expected: Uint8Array,
  what: string,
): void {
  check(actual !== undefined, `${what}: no such object, but it was written`);
  check(ArrayBuffer.isView(actual), `${what}: not a Uint8Array`);
  check(
    actual.byteLength === expected.byteLength,
    `${what}: ${actual.byteLength} bytes instead of ${expected.byteLength}`,
  );
  for (let at = 0; at < expected.byteLength; at++) {
    if (actual[at] !== expected[at]) {
      fail(`${what}: byte ${at} is ${actual[at]} instead of ${expected[at]}`);
    }
  }
}

/** Fails unless the two lists have the same texts in the same order. */
export function checkListEqual(
  actual: readonly string[],
  expected: readonly string[],
  what: string,
): void {
  const [shown, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(shown === wanted, `${what}: ${shown} instead of ${wanted}`);
}

/** Fails unless the call rejects; with a code, unless the error has it. */
export async function checkRejects(
  call: () => Promise<unknown>,
  code: string | undefined,
  what: string,
): Promise<void> {
  let error: unknown;
  try {
    await call();
  } catch (thrown) {
    error = thrown ?? new Error('nothing was thrown');
  }
  check(error !== undefined, `${what}: was accepted`);
  if (code === undefined) return;
  const actual = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
  check(actual === code, `${what}: rejected with code ${String(actual)} instead of ${code}`);
}

/** Bytes that differ from place to place and from seed to seed. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Gives the bytes in chunks of these sizes, over and over. */
export async function* chunksOf(
  bytes: Uint8Array,
  sizes: readonly number[],
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < bytes.byteLength; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.slice(at, at + size);
    at += size;
  }
}
