const names = ["Buffer", "process", "global", "setImmediate", "clearImmediate", "setTimeout"];
const descriptors = Object.fromEntries(
  names.map((name) => {
    const { get, value, enumerable, configurable } = Object.getOwnPropertyDescriptor(globalThis, name);
    return [name, [get === undefined ? typeof value : "loads when it is touched", enumerable, configurable]];
  }),
);

export default {
  fetch() {
    globalThis.Buffer = "mine";
    const replaced = globalThis.Buffer;
    return Response.json({ descriptors, global: global === globalThis, process: typeof process.nextTick, replaced });
  },
};
