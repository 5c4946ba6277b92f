export default {
  async fetch(request, env) {
    const of = (promise) => promise.catch((error) => error.message);
    return Response.json([await of(env.AUTH.fetch(request)), await of(env.AUTH.verify("x"))]);
  },
};
