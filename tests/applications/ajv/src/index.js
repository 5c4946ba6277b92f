import Ajv from "ajv";

// Ajv compiles to JavaScript, which the platform allows while a worker starts.
const ajv = new Ajv({ allErrors: true });
const validate = ajv.compile({
  type: "object",
  properties: { name: { type: "string", minLength: 2 }, age: { type: "integer", minimum: 0 }, tags: { type: "array", items: { type: "string" }, uniqueItems: true } },
  required: ["name"],
  additionalProperties: false,
});

export default {
  async fetch(request) {
    if (new URL(request.url).pathname === "/late") {
      try {
        new Ajv().compile({ type: "string" });
        return new Response("compiled");
      } catch (error) {
        return new Response(`${error.name}: ${error.message}`);
      }
    }
    return Response.json(validate(await request.json()) ? { valid: true } : { errors: validate.errors.map((error) => `${error.instancePath} ${error.message}`) });
  },
};
