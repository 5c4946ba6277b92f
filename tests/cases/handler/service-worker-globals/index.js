const adder = new WebAssembly.Instance(ADD).exports;

addEventListener("fetch", (event) => {
  event.respondWith(Response.json({
    note: NOTE, bytes: [...new Uint8Array(BYTES)], kind: BYTES.constructor.name, sum: Object.values(adder)[0](2, 3), module: ADD instanceof WebAssembly.Module,
  }));
});
