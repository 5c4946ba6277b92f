const settings = undefined;

export const limit = settings.limit;

export default {
  fetch: () => new Response("unreachable"),
};
