// Reading a body of unknown length from an unknown sender.

/** The whole body, or `undefined` once it turns out to be longer than `limit` bytes. */
export async function readUpTo(limit: number, request: Request): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(limit);
  let length = 0;
  // Leaving the loop early cancels the stream: the rest is never received.
  for await (const chunk of request.body ?? []) {
    if (length + chunk.byteLength > limit) return undefined;
    bytes.set(chunk, length);
    length += chunk.byteLength;
  }
  return bytes.subarray(0, length);
}
