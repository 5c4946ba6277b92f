import leftOut from "left-out";

export default {
  fetch: () => Response.json({ leftOut, build: BUILD, fast: FLAGS.fast }),
};
