/**
 * Limits beyond which the server refuses input, so that none exhausts its memory or time. docs/editor.md states them.
 */

/** Maximum Content-Length; the server skips a larger message without buffering it. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
export const MAX_HEADER_BYTES = 8 * 1024;
/** Maximum length of a document, in UTF-16 units. */
export const MAX_DOCUMENT_UNITS = 16 * 1024 * 1024;
/** Maximum length of all open documents together, in UTF-16 units. */
export const MAX_OPEN_UNITS = 64 * 1024 * 1024;
export const MAX_OPEN_DOCUMENTS = 2000;
export const MAX_REQUESTS_AT_ONCE = 500;
export const MAX_URI_UNITS = 8 * 1024;
/** Maximum number of tokens that an operation on a whole document reads. */
export const MAX_TOKENS_AT_ONCE = 200_000;
