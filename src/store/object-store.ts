/*
 * The seam of snapshots and checkpoint records: named, immutable objects. Anybody can implement it;
 * `tidemark/testing` exports the conformance suite that every implementation has to pass.
 *
 * Names are 1 to 512 characters of [A-Za-z0-9._/-], not starting or ending with `/`, with no `//`,
 * `.` or `..` part and no part of more than 255 characters; others are INVALID_NAME. A store may
 * also refuse a name that is a directory of another one (`a` and `a/b`), and may take names that
 * differ only in case for one; Tidemark uses neither, and never puts other bytes under a name.
 *
 * Durability: when `put`, `putIfAbsent` or `delete` resolves, its effect survives whatever the store
 * survives. An object that cannot be read is an error, never "no such object". Bytes are borrowed
 * until the promise settles and not kept afterwards; those returned belong to the caller. Calls
 * after `close` reject, except that a second `close` does nothing.
 *
 * The suite checks all of this but what no call can show: what survives a power loss, objects that
 * cannot be read, and `local`.
 */

/** A half-open range of bytes of an object. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** One object of a listing. */
export interface ObjectInfo {
  readonly name: string;
  readonly bytes: number;
}

/** Objects that are files of this machine, so that worker threads read and write them directly. */
export interface LocalObjects {
  /** The path of the file behind a name, whether it exists or not. */
  path(name: string): string;
  /** A path on the same volume, for bytes that are not published; its directory exists. */
  stagingPath(label: string): string;
  /** Publishes a file that has been synced: rename, then directory sync. Durable when resolved. */
  publish(stagedPath: string, name: string): Promise<void>;
  /** Removes staged files that a crash left behind; returns how many. */
  removeStaged(): Promise<number>;
}

/** A store of immutable objects. */
export interface ObjectStore {
  /**
   * What sort of store it is, 1 to 64 characters, always the same: a directory is only opened with
   * the kind that it was made with.
   */
  readonly kind: string;
  /**
   * What tells it from others of its kind (a path, a bucket), without secrets: the directory keeps
   * it, errors show it. It may change.
   */
  readonly location?: string;
  /** Prepares the store; called once before anything else. */
  open(): Promise<void>;
  /**
   * The object's bytes, or those of the range cut to its size; undefined when there is no such
   * object. A range that is not 0 ≤ start ≤ end in safe integers is INVALID_CALL.
   */
  get(name: string, range?: ByteRange): Promise<Uint8Array | undefined>;
  /**
   * Writes an object whole, or replaces it whole; readers see nothing (or the old one) or all of it,
   * and of racing calls one wins. When the data throws, nothing is written, and the promise rejects
   * with that error.
   */
  put(name: string, data: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /** Writes an object unless the name exists; true when this call wrote it. Exactly one of racing calls wins. */
  putIfAbsent(name: string, data: Uint8Array): Promise<boolean>;
  /**
   * Objects whose names start with the prefix, in order of code units: `''` for all, or how a legal
   * name can start, cut anywhere. Others are INVALID_NAME.
   */
  list(prefix: string): Promise<ObjectInfo[]>;
  /** Removes an object; one that is not there is no error. */
  delete(name: string): Promise<void>;
  /** Present when the objects are files of this machine. */
  readonly local?: LocalObjects;
  close(): Promise<void>;
}
