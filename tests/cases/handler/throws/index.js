const answers = {
  "/error"() {
    throw new Error("boom");
  },
  "/null"() {
    throw null;
  },
  "/string"() {
    throw "just text";
  },
  "/undefined"() {
    throw undefined;
  },
  async "/later"() {
    await scheduler.wait(1);
    throw new RangeError("boom, later");
  },
  "/rejects": () => Promise.reject(new Error("rejected")),
  "/hostile"() {
    throw {
      get stack() {
        throw new Error("no stack for you");
      },
      toString() {
        throw new Error("no text for you");
      },
    };
  },
  "/hostile-error"() {
    const error = new Error("hostile");
    Object.defineProperty(error, "stack", {
      get() {
        throw error;
      },
    });
    throw error;
  },
  "/fine": () => new Response("fine"),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
