/** A codec for tests that lies in the way that the first byte of a block asks for. */
export function compress(bytes) {
  if (bytes[0] === 1) throw new RangeError('not today');
  if (bytes[0] === 2) return 'text';
  return bytes.slice(0, 10);
}

export function decompress(bytes, rawBytes) {
  if (bytes[0] === 3) return new Uint8Array(rawBytes - 1);
  if (bytes[0] === 4) return new Uint8Array(rawBytes);
  if (bytes[0] === 5) return 'text';
  if (bytes[0] === 6) throw new RangeError('not today');
  return Uint8Array.from({ length: rawBytes }, (_, i) => (i === 0 ? bytes[0] : 7));
}
