export default function fetch(request) {
  return new Response("a function is no handler");
}
