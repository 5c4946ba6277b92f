// The messages of all rooms, in the memory of this isolate. Only data is kept here: a stream or a socket
// belongs to the request that opened it, and no other request may touch it.

export interface Message {
  /** Counts up over all rooms and never repeats in this isolate. */
  id: number;
  name: string;
  text: string;
}

const MESSAGES_PER_ROOM = 50;
const ROOMS = 100;

// In order of the last message: the first room is the one that has been silent longest.
const rooms = new Map<string, Message[]>();
let lastId = 0;

export function say(room: string, name: string, text: string): Message {
  const message = { id: ++lastId, name, text };
  const messages = [...(rooms.get(room) ?? []), message].slice(-MESSAGES_PER_ROOM);
  rooms.delete(room);
  rooms.set(room, messages);
  if (rooms.size > ROOMS) {
    const [silent] = rooms.keys();
    if (silent !== undefined) rooms.delete(silent);
  }
  return message;
}

/** The messages of a room that came after the one with this id, oldest first. */
export function messagesAfter(room: string, id: number): Message[] {
  return (rooms.get(room) ?? []).filter((message) => message.id > id);
}

/**
 * Where a listener goes on that has seen everything up to this id. An id that this isolate has not given
 * out comes from one that is gone: the listener starts at the beginning.
 */
export function resumeAt(lastSeen: number): number {
  return Number.isSafeInteger(lastSeen) && lastSeen <= lastId ? lastSeen : 0;
}
