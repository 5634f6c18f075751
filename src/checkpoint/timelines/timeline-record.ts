/*
 * A timeline record: a small immutable JSON document (sealed-json.ts), put if absent beside the
 * checkpoint records, as `timelines/<id>.json`. It says where a timeline left the one before it. The
 * highest id is the current timeline; the first timeline, 1, has no record (T1).
 *
 * Durability: everything of the timeline that was current is proved and synced before the record is
 * put; the record is durable before the first segment of its timeline is there. So a segment or
 * a checkpoint of a timeline above every record means that a record was lost.
 *
 * A fork, a second store with an id of its own (T3), has one more field in the record of its first
 * timeline, `store`, the id of the parent's store: `parent`, `forkLsn` and `log` are then the timeline
 * of that store, its last LSN and the end of its log, where `log.end` is `log.offset`, since a fork
 * seals. Records of the parent's own timelines come along.
 */
import { decodeSealedJson, encodeSealedJson } from '../../codec/sealed-json.ts';
import { CorruptionError, IncompatibleError } from '../../errors.ts';
import { formatChain, parseChain } from '../../wal/chain-value.ts';
import { segmentHeaderBytes } from '../../wal/segment-format.ts';
import { fromHex } from '../../std/bytes.ts';
import type { TimelineFork } from '../../wal/ancestry.ts';
import { RecordFields } from '../record-fields.ts';

export const timelineVersion = 1;
export const timelinePrefix = 'timelines/';

/** Where a timeline comes from. */
export interface TimelineRecord {
  /** Above 1. */
  readonly id: number;
  /** Hexadecimal. */
  readonly storeId: string;
  readonly fork: TimelineFork;
  /** Time of the commit of `fork.lsn`, microseconds; 0 before the first. */
  readonly forkTimestamp: number;
  /** When it was made, microseconds. */
  readonly createdAt: number;
  /** Greatest epoch that was given before it. */
  readonly epoch: number;
  /** The timeline that was current before, and its last LSN. */
  readonly from: { readonly timeline: number; readonly lsn: number };
  /** Of a fork's first timeline: the store that it is a fork of, hexadecimal (T3). */
  readonly store?: string;
}

/** Object name of a record. */
export function timelineName(id: number): string {
  return `${timelinePrefix}${String(id).padStart(10, '0')}.json`;
}

/** Id in the name of a record, or undefined when it is none. */
export function parseTimelineName(name: string): number | undefined {
  const match = /^timelines\/(\d{10,16})\.json$/.exec(name);
  return match ? Number(match[1]) : undefined;
}

export function encodeTimeline(record: TimelineRecord): Uint8Array {
  const { id, storeId, fork, forkTimestamp, createdAt, epoch, from, store } = record;
  const { parent, lsn: forkLsn, position, end } = fork;
  const log = { ...position, chain: formatChain(position.chain), end };
  const body = { id, storeId, parent, forkLsn, forkTimestamp, createdAt, epoch, log, from, store };
  return encodeSealedJson({ format: timelineVersion, ...body });
}

/** Decodes and validates; `name` is for the error. */
export function decodeTimeline(bytes: Uint8Array, name: string): TimelineRecord {
  const body = decodeSealedJson(bytes);
  const corrupt = (why: string): CorruptionError =>
    new CorruptionError('CORRUPT_RECORD', `timeline record ${why}: ${name}`, {
      path: name,
      offset: 0,
    });
  if (typeof body === 'string') throw corrupt(body);
  const { format } = body;
  if (format !== timelineVersion) {
    if (typeof format !== 'number') throw corrupt('has no format');
    throw new IncompatibleError(
      'UNSUPPORTED_FORMAT',
      `timeline format version ${format} is not known to this release: ${name}`,
      { path: name, version: format, supported: timelineVersion },
    );
  }
  const fields = new RecordFields(body, corrupt);
  const id = fields.count('id');
  const fork = decodeFork(fields);
  if (fork.parent < 1 || fork.parent >= id) throw corrupt('has a parent that is not before it');
  const from = fields.object('from');
  return {
    id,
    storeId: fields.text('storeId'),
    fork,
    forkTimestamp: fields.count('forkTimestamp'),
    createdAt: fields.count('createdAt'),
    epoch: fields.count('epoch'),
    from: { timeline: from.count('timeline'), lsn: from.count('lsn') },
    ...(body['store'] === undefined ? {} : { store: storeText(fields) }),
  };
}

function storeText(fields: RecordFields): string {
  const store = fields.text('store');
  if (fromHex(store)?.length !== 16) throw fields.corrupt('is a fork of no store');
  return store;
}

function decodeFork(fields: RecordFields): TimelineFork {
  const log = fields.object('log');
  const chain = parseChain(log.text('chain'));
  if (!chain) throw log.corrupt('has no chain value');
  const position = {
    lsn: log.count('lsn'),
    segment: log.count('segment'),
    timeline: log.count('timeline'),
    offset: log.count('offset'),
    chain,
  };
  const lsn = fields.count('forkLsn');
  const end = log.count('end');
  const { offset, segment } = position;
  const atLsn = position.lsn === lsn;
  const sound =
    segment === 0
      ? atLsn && offset === 0 && end === 0
      : position.lsn <= lsn &&
        offset >= segmentHeaderBytes &&
        (atLsn ? end === offset : end > offset);
  if (!sound) throw log.corrupt('leaves the log nowhere');
  return { parent: fields.count('parent'), lsn, position, end };
}
