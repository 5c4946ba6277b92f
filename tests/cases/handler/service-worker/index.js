import { answer } from "./answer.js";

const declared = GREETING;

addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (pathname === "/second") return;
  if (pathname === "/nobody") return;
  if (pathname === "/throws") throw new TypeError("thrown by the listener");
  if (pathname === "/twice") {
    event.respondWith(new Response("first"));
    try {
      event.respondWith(new Response("second"));
    } catch (error) {
      console.log(`twice: ${error.message}`);
    }
    return;
  }
  event.respondWith(answer(event, pathname, declared));
});

addEventListener("fetch", (event) => {
  if (new URL(event.request.url).pathname !== "/second") return;
  event.respondWith(new Response("the second listener"));
});
