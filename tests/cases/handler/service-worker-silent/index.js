// Loosely written, as scripts of before modules are.
counter = 0;
if (counter > 0) addEventListener("fetch", (event) => event.respondWith(new Response("never")));
