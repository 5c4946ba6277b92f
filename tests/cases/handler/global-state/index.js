let count = 0;
const started = await Promise.resolve("started");

export default {
  fetch: () => Response.json({ count: ++count, started }),
};
