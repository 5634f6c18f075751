/*
 * Errors in the shape that Node gives to those of the operating system, for what is found out
 * before the system is asked (a closed handle) and for file systems that have none below them.
 */
import { constants } from 'node:os';

/** Errno names that Tidemark's own file-system code raises, or is asked to raise in tests. */
export type SystemErrorCode =
  | 'EACCES'
  | 'EBADF'
  | 'EBUSY'
  | 'EDQUOT'
  | 'EEXIST'
  | 'EINVAL'
  | 'EIO'
  | 'EISDIR'
  | 'EMFILE'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOTDIR'
  | 'ENOTEMPTY'
  | 'EPERM'
  | 'EROFS';

const meanings: Readonly<Record<SystemErrorCode, string>> = {
  EACCES: 'permission denied',
  EBADF: 'bad file descriptor',
  EBUSY: 'resource busy or locked',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'file already exists',
  EINVAL: 'invalid argument',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  EMFILE: 'too many open files',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
};

/** Names of all of them. */
export const systemErrorCodes: readonly SystemErrorCode[] = Object.keys(
  meanings,
) as SystemErrorCode[];

/** Makes an error with `code`, `errno`, `syscall` and `path`, as Node does. */
export function systemError(
  code: SystemErrorCode,
  syscall: string,
  path: string,
): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(
    `${code}: ${meanings[code]}, ${syscall} '${path}'`,
  );
  return Object.assign(error, { code, errno: -constants.errno[code], syscall, path });
}

/** Refuses a position or size that the system would take for something else, such as -1. */
export function checkOffset(offset: number, syscall: string, path: string): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw systemError('EINVAL', syscall, path);
}
