/** What the server refuses politely, so that no input makes it run out of memory or time. docs/editor.md states these. */

/** A message with a larger Content-Length is skipped without being kept. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
export const MAX_HEADER_BYTES = 8 * 1024;
/** UTF-16 units. */
export const MAX_DOCUMENT_UNITS = 16 * 1024 * 1024;
/** UTF-16 units of all open documents together. */
export const MAX_OPEN_UNITS = 64 * 1024 * 1024;
export const MAX_OPEN_DOCUMENTS = 2000;
export const MAX_REQUESTS_AT_ONCE = 500;
export const MAX_URI_UNITS = 8 * 1024;
/** What goes over a whole document stops after so many. */
export const MAX_TOKENS_AT_ONCE = 200_000;
