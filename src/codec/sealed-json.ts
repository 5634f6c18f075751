/*
 * Small JSON documents with a CRC-32 over the exact bytes of their body:
 *
 *     {"body":{ … },"crc32":"0123abcd"}\n
 *
 * Store identity, checkpoint records and low-water records are of this form: one read, one check,
 * readable by a person. A flipped byte anywhere is found. The bytes are those that are written for the
 * body and no others: another spelling, a repeated name or a number without end are refused, whatever
 * the checksum says.
 */
import { checksum } from './checksum.ts';

const PREFIX = '{"body":';
const SUFFIX_BYTES = ',"crc32":"00000000"}\n'.length;

/** Bytes of the document; the body must survive JSON. */
export function encodeSealedJson(body: object): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(body));
  const crc = checksum(text).toString(16).padStart(8, '0');
  const parts = [PREFIX, text, `,"crc32":"${crc}"}\n`];
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

/** The body, or a text that says why the bytes are not a sound document. */
export function decodeSealedJson(bytes: Uint8Array): Record<string, unknown> | string {
  if (bytes.length < PREFIX.length + SUFFIX_BYTES) return 'is cut short';
  const bodyEnd = bytes.length - SUFFIX_BYTES;
  const suffix = Buffer.from(bytes.subarray(bodyEnd)).toString('latin1');
  const crc = /^,"crc32":"([0-9a-f]{8})"\}\n$/.exec(suffix);
  const prefix = Buffer.from(bytes.subarray(0, PREFIX.length)).toString('latin1');
  if (prefix !== PREFIX || !crc) return 'is not a sealed document';
  if (checksum(bytes, PREFIX.length, bodyEnd) !== Number.parseInt(crc[1]!, 16)) {
    return 'fails its checksum';
  }
  const text = Buffer.from(bytes.subarray(PREFIX.length, bodyEnd)).toString('utf8');
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return 'holds no object';
    if (Buffer.compare(encodeSealedJson(body), bytes) !== 0) return 'is not as it is written';
    return body as Record<string, unknown>;
  } catch {
    return 'holds no JSON';
  }
}
