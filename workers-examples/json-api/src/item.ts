// What an item is, and the one place that decides whether client input is one.

export interface Item {
  id: number;
  title: string;
  done: boolean;
}

export type ItemFields = Omit<Item, "id">;

/** What is wrong with the input, by field name. */
export type Problems = Record<string, string>;

export type Checked<T> = { ok: true; value: T } | { ok: false; problems: Problems };

const TITLE_MAX = 200;

/**
 * Checks the fields that are present. Fields that are not known are an error, so that a misspelt name is
 * not taken for "leave as it is".
 */
export function checkFields(input: unknown): Checked<Partial<ItemFields>> {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return { ok: false, problems: { "": "must be a JSON object" } };
  }
  const value: Partial<ItemFields> = {};
  const problems: Problems = {};
  for (const [name, field] of Object.entries(input)) {
    if (name === "title") {
      const title = typeof field === "string" ? field.trim() : "";
      if (title !== "" && title.length <= TITLE_MAX) value.title = title;
      else problems.title = `must be a string of 1 to ${TITLE_MAX} characters`;
    } else if (name === "done") {
      if (typeof field === "boolean") value.done = field;
      else problems.done = "must be true or false";
    } else {
      problems[name] = "is not a field of an item";
    }
  }
  return Object.keys(problems).length === 0 ? { ok: true, value } : { ok: false, problems };
}

/** A new item needs a title; `done` starts as false. */
export function checkNewItem(input: unknown): Checked<ItemFields> {
  const fields = checkFields(input);
  if (!fields.ok) return fields;
  const { title, done = false } = fields.value;
  if (title === undefined) return { ok: false, problems: { title: "is required" } };
  return { ok: true, value: { title, done } };
}
