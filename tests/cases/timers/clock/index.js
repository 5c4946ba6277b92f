const answers = {
  "/still": () => {
    const before = [Date.now(), performance.now(), new Date().getTime()];
    for (let i = 0; i < 100_000; i++) before.length;
    return Response.json([Date.now() === before[0], performance.now() === before[1], before[0] === before[2]]);
  },
  "/moves": async () => {
    const before = Date.now();
    await scheduler.wait(20);
    return Response.json(Date.now() - before >= 19);
  },
  "/today": () => Response.json(new Date().getUTCFullYear() >= 2025),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
