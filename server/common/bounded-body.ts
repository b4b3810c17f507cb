/**
 * Reads whole bodies of answers within limits: a server can send gigabytes in a few compressed kilobytes, or a byte a
 * minute.
 */

/** An answer exceeds the size limit of its kind. */
export class LargeBodyError extends Error {}

/**
 * The decoded bytes of a body. Throws `LargeBodyError` above `mostBytes`, and the signal's reason; closes the
 * connection in both cases.
 */
export async function bodyWithin(
  body: ReadableStream<Uint8Array> | null,
  mostBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal?.addEventListener("abort", stop, { once: true });
  const parts: Uint8Array[] = [];
  try {
    for (let bytes = 0; ; ) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) return Buffer.concat(parts);
      bytes += value.byteLength;
      if (bytes > mostBytes) throw new LargeBodyError(`it has more than ${mostBytes} bytes`);
      parts.push(value);
    }
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
