console.log("said while starting");

export default {
  fetch: () => new Response("started"),
};
