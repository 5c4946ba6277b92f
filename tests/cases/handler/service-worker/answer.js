export async function answer(event, pathname, declared) {
  switch (pathname) {
    case "/bindings":
      return Response.json({ declared, list: LIST, own: globalThis.GREETING, hidden: typeof globalThis.declared });
    case "/wait":
      event.waitUntil(scheduler.wait(1).then(() => console.log("the work is done")));
      return new Response("waiting");
    case "/event":
      return Response.json({ type: event.type, trusted: event.isTrusted, method: event.request.method, body: await event.request.text() });
    case "/rejects":
      throw new RangeError("rejected by the listener");
    case "/no-response":
      return "text";
  }
}
