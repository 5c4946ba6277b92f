const answers = {
  "/text": async (request) => new Response(await request.text()),
  "/json": async (request) => Response.json(Object.keys(await request.json())),
  "/bytes": async (request) => Response.json([...await request.bytes()]),
  "/array-buffer": async (request) => Response.json((await request.arrayBuffer()).byteLength),
  "/blob": async (request) => {
    const blob = await request.blob();
    return Response.json({ size: blob.size, type: blob.type });
  },
  "/form": async (request) => {
    const form = await request.formData();
    const file = form.get("file");
    return Response.json({
      name: form.get("name"),
      all: form.getAll("name"),
      file: file === null ? null : typeof file === "string" ? file : { name: file.name, type: file.type, text: await file.text() },
    });
  },
  "/none": async (request) => Response.json({ body: request.body, used: request.bodyUsed, text: await request.text() }),
  "/twice": async (request) => {
    await request.text();
    try {
      await request.text();
    } catch (error) {
      return Response.json({ used: request.bodyUsed, error: String(error) });
    }
  },
  "/clone": async (request) => {
    const copy = request.clone();
    return Response.json([await request.text(), await copy.text()]);
  },
  "/clone-used": async (request) => {
    await request.text();
    try {
      request.clone();
    } catch (error) {
      return Response.json(error.name);
    }
  },
  "/unread": (request) => new Response(String(request.bodyUsed)),
  "/echo": (request) => new Response(request.body, { headers: { "content-type": request.headers.get("content-type") } }),
  "/reader": async (request) => {
    const reader = request.body.getReader();
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.byteLength;
    }
    return Response.json(bytes);
  },
  "/iterate": async (request) => {
    let bytes = 0;
    for await (const chunk of request.body) bytes += chunk.byteLength;
    return Response.json(bytes);
  },
  "/locked": async (request) => {
    request.body.getReader();
    try {
      await request.text();
    } catch (error) {
      return Response.json(String(error));
    }
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
