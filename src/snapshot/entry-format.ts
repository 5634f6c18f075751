/*
 * An entry as it stands in a snapshot and in an image, version 1. Little-endian, not aligned. The
 * table is the slice's. Entries of a slice are ordered by hash, key, sub-key (E5).
 *
 * | Offset | Size | Field          | Meaning                                                      |
 * |      0 |    4 | bytes          | of the whole entry, this field included                      |
 * |      4 |    4 | hash           | keyed hash of the key; clearTable: the key group's first     |
 * |      8 |    8 | lsn            |                                                              |
 * |     16 |    8 | timestamp      | of the commit, microseconds                                  |
 * |     24 |    1 | op             | 1 put, 2 delete, 3 merge, 4 clear of a key, 5 clear of a table|
 * |     25 |    1 | operator       | of a merge, and of a put made of operands: 1 add, 2 chunk,   |
 * |        |      |                | 3 min, 4 max, 5 patch (operators.ts); else 0                 |
 * |     26 |    1 | flags          | bit 0 sub-key, 1 expiry, 2 event time, 3 first timestamp     |
 * |     27 |    1 | reserved       | 0                                                            |
 * |     28 |    2 | keyBytes       | 0 only for a clear of a table                                |
 * |     30 |    2 | subKeyBytes    |                                                              |
 * |     32 |  8 × | expiry, event time, first timestamp: those whose flag is set, in this order   |
 * |      … |      | key, sub-key, value                                                           |
 *
 * First timestamp: of the first operand folded into this one; older entries are judged by it (E4).
 */

export const ops = { put: 1, delete: 2, merge: 3, clearKey: 4, clearTable: 5 } as const;
export type Op = (typeof ops)[keyof typeof ops];

export const operatorIds = { none: 0, add: 1, chunk: 2, min: 3, max: 4, patch: 5 } as const;
export type OperatorId = (typeof operatorIds)[keyof typeof operatorIds];

export const entryFlags = { subKey: 1, expiry: 2, eventTime: 4, firstTimestamp: 8 } as const;

/** Bytes before the optional fields. */
export const entryHeaderBytes = 32;

/** Tables that the engine keeps for itself; tables of users start at `firstUserTable`. */
export const reservedTables = { catalog: 1, positions: 2, chunks: 3 } as const;
export const firstUserTable = 16;
