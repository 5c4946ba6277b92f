addEventListener("fetch", (event) => {
  event.respondWith(new Response("of another time"));
});
