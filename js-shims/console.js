// `console`, WHATWG Console. Lines go to the invocation's log (op_log); the clock of `time*` is the turn's.
// Strings and numbers take a short way; everything else is formatted by deno_web's inspect.

import { core, primordials } from "ext:core/mod.js";
import { inspection } from "ext:holm/engine.js";
import { currentOwner } from "ext:holm/owner.js";

const {
  ArrayIsArray,
  ArrayPrototypePush,
  ErrorCaptureStackTrace,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeHas,
  MapPrototypeSet,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectKeys,
  ReflectOwnKeys,
  SafeMap,
  SafeMapIterator,
  SafeSetIterator,
  StringPrototypeIncludes,
  StringPrototypeIndexOf,
  StringPrototypeRepeat,
  StringPrototypeSlice,
  SymbolToStringTag,
} = primordials;
const { op_clock_now, op_log } = core.ops;
const { getStringWidth, inspect, inspectArgs } = inspection;

const DEBUG = 0;
const INFO = 1;
const WARN = 2;
const ERROR = 3;

const PLAIN = { __proto__: null, colors: false };
// Labels and groups live as long as the isolate; a script that never ends them does not grow them for ever.
const MOST_LABELS = 1000;
const MOST_GROUPS = 100;

let indent = "";
const counts = new SafeMap();
const times = new SafeMap();

const UNPRINTABLE = "[a value that cannot be shown: it throws while it is read]";

/** As `inspectArgs`; logging throws nothing at its caller, whatever the values do while they are read. */
function inspectAll(args) {
  try {
    return inspectArgs(args, PLAIN);
  } catch {
    return UNPRINTABLE;
  }
}

/** As `inspect`, likewise. */
function inspectOne(value, options) {
  try {
    return inspect(value, options);
  } catch {
    return UNPRINTABLE;
  }
}

/** @param {any[]} args */
function format(args) {
  const { length } = args;
  if (length === 1) {
    const only = args[0];
    if (typeof only === "string") return only;
    if (typeof only === "number") return `${only}`;
  }
  let line = "";
  for (let i = 0; i < length; i++) {
    const arg = args[i];
    const type = typeof arg;
    if (type !== "string" && type !== "number" && type !== "boolean") return inspectAll(args);
    if (i === 0 && length > 1 && type === "string" && StringPrototypeIncludes(arg, "%")) return inspectAll(args);
    line = i === 0 ? `${arg}` : `${line} ${arg}`;
  }
  return line;
}

function indented(text) {
  if (indent === "") return text;
  let result = "";
  for (let at = 0;;) {
    const end = StringPrototypeIndexOf(text, "\n", at);
    if (end === -1) return result + indent + StringPrototypeSlice(text, at);
    result += indent + StringPrototypeSlice(text, at, end + 1);
    at = end + 1;
  }
}

const print = (level, text) => op_log(currentOwner(), level, indented(text));

/** `[first, ...rest]` without the array iterator, which scripts can replace. */
function withFirst(first, rest) {
  const all = [first];
  for (let i = 0; i < rest.length; i++) ArrayPrototypePush(all, rest[i]);
  return all;
}

const labelOf = (label) => label === undefined ? "default" : `${label}`;

function elapsed(label) {
  const started = MapPrototypeGet(times, label);
  return started === undefined ? undefined : `${label}: ${op_clock_now() - started}ms`;
}

const cell = (value) => typeof value === "string" ? value : inspectOne(value, { __proto__: null, colors: false, depth: 1 });

/** Rows of a Map, Set, array or object as [index, value]. */
function tableRows(data) {
  const rows = [];
  if (core.isMap(data)) {
    let i = 0;
    for (const entry of new SafeMapIterator(data)) {
      ArrayPrototypePush(rows, [`${i++}`, { __proto__: null, Key: entry[0], Values: entry[1] }]);
    }
    return rows;
  }
  if (core.isSet(data)) {
    let i = 0;
    for (const value of new SafeSetIterator(data)) ArrayPrototypePush(rows, [`${i++}`, value]);
    return rows;
  }
  const keys = ObjectKeys(data);
  for (let i = 0; i < keys.length; i++) ArrayPrototypePush(rows, [keys[i], data[keys[i]]]);
  return rows;
}

function table(data, properties) {
  const rows = tableRows(data);
  const columns = [];
  const seen = { __proto__: null };
  const addColumn = (name) => {
    if (seen[name] === true) return;
    seen[name] = true;
    ArrayPrototypePush(columns, name);
  };
  let hasValues = false;
  const only = ArrayIsArray(properties) ? properties : undefined;
  if (only !== undefined) for (let i = 0; i < only.length; i++) addColumn(`${only[i]}`);
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i][1];
    if (typeof value !== "object" || value === null) {
      hasValues = true;
    } else if (only === undefined) {
      const keys = ObjectKeys(value);
      for (let j = 0; j < keys.length; j++) addColumn(keys[j]);
    }
  }
  const lines = [["(idx)"]];
  for (let i = 0; i < columns.length; i++) ArrayPrototypePush(lines[0], columns[i]);
  if (hasValues) ArrayPrototypePush(lines[0], "Values");
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i][1];
    const isObject = typeof value === "object" && value !== null;
    const line = [rows[i][0]];
    for (let j = 0; j < columns.length; j++) {
      ArrayPrototypePush(line, isObject && columns[j] in value ? cell(value[columns[j]]) : "");
    }
    if (hasValues) ArrayPrototypePush(line, isObject ? "" : cell(value));
    ArrayPrototypePush(lines, line);
  }
  return drawTable(lines);
}

function drawTable(lines) {
  const widths = [];
  for (let i = 0; i < lines[0].length; i++) {
    let widest = 0;
    for (let j = 0; j < lines.length; j++) {
      const width = getStringWidth(lines[j][i]) + 2;
      if (width > widest) widest = width;
    }
    ArrayPrototypePush(widths, widest);
  }
  const rule = (left, middle, right) => {
    let text = left;
    for (let i = 0; i < widths.length; i++) {
      text += (i === 0 ? "" : middle) + StringPrototypeRepeat("\u2500", widths[i]);
    }
    return text + right;
  };
  const row = (line) => {
    let text = "\u2502";
    for (let i = 0; i < widths.length; i++) {
      text += ` ${line[i]}${StringPrototypeRepeat(" ", widths[i] - getStringWidth(line[i]) - 1)}\u2502`;
    }
    return text;
  };
  let text = `${rule("\u250c", "\u252c", "\u2510")}\n${row(lines[0])}\n${rule("\u251c", "\u253c", "\u2524")}\n`;
  for (let i = 1; i < lines.length; i++) text += `${row(lines[i])}\n`;
  return text + rule("\u2514", "\u2534", "\u2518");
}

const methods = {
  debug(...args) {
    print(DEBUG, format(args));
  },
  error(...args) {
    print(ERROR, format(args));
  },
  info(...args) {
    print(INFO, format(args));
  },
  log(...args) {
    print(INFO, format(args));
  },
  warn(...args) {
    print(WARN, format(args));
  },
  trace(...args) {
    const error = { __proto__: null, name: "Trace", message: args.length === 0 ? "" : format(args) };
    ErrorCaptureStackTrace(error, methods.trace);
    const stack = `${error.stack}`;
    const firstFrame = StringPrototypeIndexOf(stack, "\n    at ");
    const title = error.message === "" ? "Trace" : `Trace: ${error.message}`;
    print(INFO, firstFrame === -1 ? title : title + StringPrototypeSlice(stack, firstFrame));
  },
  assert(condition = false, ...args) {
    if (condition) return;
    if (args.length === 0) print(ERROR, "Assertion failed");
    else if (typeof args[0] === "string") {
      args[0] = `Assertion failed: ${args[0]}`;
      print(ERROR, format(args));
    } else print(ERROR, format(withFirst("Assertion failed:", args)));
  },
  dir(item = undefined, options = undefined) {
    print(INFO, inspectOne(item, typeof options === "object" && options !== null ? { ...options, colors: false } : PLAIN));
  },
  dirxml(...args) {
    print(INFO, format(args));
  },
  table(data = undefined, properties = undefined) {
    print(INFO, typeof data === "object" && data !== null ? table(data, properties) : format([data]));
  },
  group(...label) {
    if (label.length !== 0) print(INFO, format(label));
    if (indent.length < MOST_GROUPS * 2) indent += "  ";
  },
  groupCollapsed(...label) {
    if (label.length !== 0) print(INFO, format(label));
    if (indent.length < MOST_GROUPS * 2) indent += "  ";
  },
  groupEnd() {
    indent = StringPrototypeSlice(indent, 2);
  },
  clear() {
    indent = "";
  },
  count(label = undefined) {
    label = labelOf(label);
    const count = (MapPrototypeGet(counts, label) ?? 0) + 1;
    if (count > 1 || MapPrototypeGetSize(counts) < MOST_LABELS) MapPrototypeSet(counts, label, count);
    print(INFO, `${label}: ${count}`);
  },
  countReset(label = undefined) {
    label = labelOf(label);
    if (MapPrototypeHas(counts, label)) MapPrototypeDelete(counts, label);
    else print(WARN, `Count for '${label}' does not exist`);
  },
  time(label = undefined) {
    label = labelOf(label);
    if (MapPrototypeHas(times, label)) print(WARN, `Timer '${label}' already exists`);
    else if (MapPrototypeGetSize(times) < MOST_LABELS) MapPrototypeSet(times, label, op_clock_now());
  },
  timeLog(label = undefined, ...args) {
    label = labelOf(label);
    const text = elapsed(label);
    if (text === undefined) print(WARN, `Timer '${label}' does not exist`);
    else print(INFO, args.length === 0 ? text : `${text} ${format(args)}`);
  },
  timeEnd(label = undefined) {
    label = labelOf(label);
    const text = elapsed(label);
    if (text === undefined) print(WARN, `Timer '${label}' does not exist`);
    else {
      MapPrototypeDelete(times, label);
      print(INFO, text);
    }
  },
  timeStamp() {},
};


// The prototype of the namespace is an empty object, for historical reasons (Console §1).
export const console = ObjectCreate({});
const names = ReflectOwnKeys(methods);
for (let i = 0; i < names.length; i++) {
  ObjectDefineProperty(console, names[i], {
    __proto__: null,
    value: methods[names[i]],
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
ObjectDefineProperty(console, SymbolToStringTag, {
  __proto__: null,
  value: "console",
  writable: false,
  enumerable: false,
  configurable: true,
});
