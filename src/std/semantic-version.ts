/*
 * Semantic versions, as far as stored forms need them: `major.minor.patch` (semver.org), three numbers
 * without leading zeros. Pre-releases and builds are refused: a form that is stored has been released.
 */

/** Major, minor, patch. */
export type SemanticVersion = readonly [number, number, number];

const form = /^(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})$/;

/** The numbers of a version, or undefined when it is none. */
export function parseSemanticVersion(version: unknown): SemanticVersion | undefined {
  const match = typeof version === 'string' ? form.exec(version) : null;
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
}

/** Whether code of a version reads what a stored one wrote: the same major version, and not newer. */
export function readsSemanticVersion(code: SemanticVersion, stored: SemanticVersion): boolean {
  if (code[0] !== stored[0]) return false;
  return code[1] === stored[1] ? code[2] >= stored[2] : code[1] > stored[1];
}
