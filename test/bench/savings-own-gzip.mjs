/** Gzip as a user would bring it along. */
import { gunzipSync, gzipSync } from 'node:zlib';

export const compress = (bytes) => gzipSync(bytes);
export const decompress = (bytes) => gunzipSync(bytes);
