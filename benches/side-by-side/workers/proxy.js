// The harness puts the address of its upstream here: every peer runs this file as it then is.
const upstream = "UPSTREAM_URL";

export default {
  fetch() {
    return fetch(upstream);
  },
};
