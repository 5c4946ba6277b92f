// One of many workers: the harness puts each one's own name here, so that an answer shows who gave it.
export default {
  fetch() {
    return new Response("Hello from TENANT_NAME");
  },
};
