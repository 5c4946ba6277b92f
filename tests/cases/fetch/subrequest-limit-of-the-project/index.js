export default {
  async fetch(request, env) {
    const results = await Promise.allSettled([1, 2, 3].map(() => fetch(`${env.UPSTREAM}/text`)));
    return Response.json(results.map(({ status }) => status));
  },
};
