let caught = "nothing";
try {
  await fetch("http://127.0.0.1:1/");
} catch (error) {
  caught = `${error.name}: ${error.message}`;
}

export default {
  fetch: () => new Response(caught),
};
