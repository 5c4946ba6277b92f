import { builtinModules } from "node:module";

export default {
  async fetch() {
    const failed = [];
    const empty = [];
    for (const name of builtinModules) {
      try {
        const module = await import(name.startsWith("node:") ? name : `node:${name}`);
        if (Object.keys(module).length < 2) empty.push(name);
      } catch (error) {
        failed.push(`${name}: ${error.message}`);
      }
    }
    return Response.json({ many: builtinModules.length > 50, failed, empty });
  },
};
