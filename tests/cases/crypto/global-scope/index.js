let caught = "nothing";
try {
  crypto.randomUUID();
} catch (error) {
  caught = `${error.name}: ${error.message}`;
}

export default {
  fetch: () => new Response(caught),
};
