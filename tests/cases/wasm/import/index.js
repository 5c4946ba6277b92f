import add from "./add.wasm";

const BYTES = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);

async function refused(work) {
  try {
    await work();
    return Response.json("not refused");
  } catch (error) {
    return Response.json(error.name);
  }
}

const answers = {
  "/constructor": () => Response.json(new WebAssembly.Instance(add).exports.add(40, 2)),
  "/instantiate": async () => Response.json((await WebAssembly.instantiate(add)).exports.add(40, 2)),
  "/is-a-module": () => Response.json([add instanceof WebAssembly.Module, WebAssembly.Module.exports(add).map(({ name }) => name).sort()]),
  "/bytes": () => refused(() => new WebAssembly.Module(BYTES)),
  "/compile": () => refused(() => WebAssembly.compile(BYTES)),
  "/instantiate-bytes": () => refused(() => WebAssembly.instantiate(BYTES)),
  "/streaming": () => refused(() => WebAssembly.instantiateStreaming(new Response(BYTES))),
  "/through-the-prototype": () => refused(() => new add.constructor(BYTES)),
  "/memory": () => Response.json(new WebAssembly.Memory({ initial: 1 }).buffer.byteLength),
  "/eval": () => refused(() => eval("1 + 1")),
  "/function": () => refused(() => new Function("return 1")()),
  "/async-function": () => refused(() => (async () => {}).constructor("return 1")()),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
