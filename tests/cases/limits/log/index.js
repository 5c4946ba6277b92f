export default {
  fetch() {
    for (let i = 0; i < 5; i++) console.log("x".repeat(100_000));
    console.log("too much");
    return new Response("logged");
  },
};
