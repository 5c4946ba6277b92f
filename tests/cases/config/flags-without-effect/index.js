export default {
  fetch: () => Response.json({ language: "language" in Navigator.prototype, methods: new Request("http://x", { method: "patch" }).method }),
};
