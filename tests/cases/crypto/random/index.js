const answers = {
  "/uuid": () => new Response(crypto.randomUUID()),
  "/different": () => Response.json(new Set(Array.from({ length: 100 }, () => crypto.randomUUID())).size),
  "/values": () => {
    const bytes = new Uint8Array(64);
    return Response.json([crypto.getRandomValues(bytes) === bytes, bytes.some((byte) => byte !== 0)]);
  },
  "/too-many": () => {
    try {
      crypto.getRandomValues(new Uint8Array(65537));
    } catch (error) {
      return Response.json(error.name);
    }
  },
  "/math": () => Response.json(Math.random() !== Math.random()),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
