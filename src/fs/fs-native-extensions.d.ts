/* What Tidemark uses of fs-native-extensions 1.5, which ships no types. */
declare module 'fs-native-extensions' {
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
}
