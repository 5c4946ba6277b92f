import { modern } from "modern";
import classic, { named } from "classic";
import deep from "@scope/deep/part";
import condition from "conditional";

export default {
  fetch: () => Response.json({ modern: modern(), classic: classic(), named, deep, condition }),
};
