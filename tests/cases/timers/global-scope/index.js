let caught = "nothing";
try {
  setTimeout(() => {}, 1);
} catch (error) {
  caught = `${error.name}: ${error.message}`;
}

export default {
  fetch: () => new Response(caught),
};
