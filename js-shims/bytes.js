// Byte buffers: views, private copies and UTF-8, safe against patched prototypes.

import { core, primordials } from "ext:core/mod.js";

const {
  ArrayBufferIsView,
  ArrayBufferPrototypeGetByteLength,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypedArrayPrototypeSet,
  Uint8Array,
} = primordials;

export const byteLength = TypedArrayPrototypeGetByteLength;

/** `true` for an ArrayBuffer (also a shared one) or a view of one. */
export const isBufferSource = (value) => ArrayBufferIsView(value) || core.isAnyArrayBuffer(value);

/** A Uint8Array over the same memory as a BufferSource. */
export function viewOf(source) {
  if (!ArrayBufferIsView(source)) return new Uint8Array(source);
  const tag = TypedArrayPrototypeGetSymbolToStringTag(source);
  if (tag === "Uint8Array") return source;
  if (tag === undefined) {
    return new Uint8Array(
      DataViewPrototypeGetBuffer(source),
      DataViewPrototypeGetByteOffset(source),
      DataViewPrototypeGetByteLength(source),
    );
  }
  return new Uint8Array(
    TypedArrayPrototypeGetBuffer(source),
    TypedArrayPrototypeGetByteOffset(source),
    TypedArrayPrototypeGetByteLength(source),
  );
}

/** A private copy of a BufferSource. */
export function copyOf(source) {
  const view = viewOf(source);
  const copy = new Uint8Array(TypedArrayPrototypeGetByteLength(view));
  TypedArrayPrototypeSet(copy, view);
  return copy;
}

/** A view of `bytes[start, end)`. */
export const part = (bytes, start, end) =>
  new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), TypedArrayPrototypeGetByteOffset(bytes) + start, end - start);

/** One Uint8Array of several, always a new one. */
export function concat(chunks, length) {
  const all = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < chunks.length; i++) {
    TypedArrayPrototypeSet(all, chunks[i], at);
    at += TypedArrayPrototypeGetByteLength(chunks[i]);
  }
  return all;
}

/** The ArrayBuffer of exactly these bytes; copies if the view is smaller than its buffer. */
export function wholeBuffer(bytes) {
  const buffer = TypedArrayPrototypeGetBuffer(bytes);
  return ArrayBufferPrototypeGetByteLength(buffer) === TypedArrayPrototypeGetByteLength(bytes)
    ? buffer
    : TypedArrayPrototypeGetBuffer(copyOf(bytes));
}

export const encodeUtf8 = core.encode;

/** UTF-8 decode: BOM stripped, errors replaced. */
export const decodeUtf8 = core.decode;
