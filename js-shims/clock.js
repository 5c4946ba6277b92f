// `Date` and `performance` over the clock that stands still inside a turn: a script cannot time what runs beside it.

import { core, primordials } from "ext:core/mod.js";
import { DOMException, events, finishInterface, structuredClone } from "ext:holm/engine.js";

const {
  ArrayPrototypePush,
  ArrayPrototypeSort,
  Date: EngineDate,
  DatePrototypeToString,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  ReflectConstruct,
  ReflectOwnKeys,
  TypeError,
} = primordials;
const { op_clock_now, op_clock_origin } = core.ops;

// === Date ===

/** @type {DateConstructor} its `prototype` is the engine's, so instances and subclasses are ordinary Dates */
export const Date = (() => {
  // Seven parameters: `Date.length` is 7.
  function Date(_year, _month, _date, _hours, _minutes, _seconds, _ms) {
    if (new.target === undefined) return DatePrototypeToString(new EngineDate(op_clock_now()));
    if (arguments.length === 0) {
      const now = op_clock_now();
      return new.target === Date ? new EngineDate(now) : ReflectConstruct(EngineDate, [now], new.target);
    }
    return ReflectConstruct(EngineDate, arguments, new.target);
  }
  return Date;
})();

const dateStatics = {
  now() {
    return op_clock_now();
  },
};
const define = (target, name, value) =>
  ObjectDefineProperty(target, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
define(Date, "now", dateStatics.now);
define(Date, "parse", EngineDate.parse);
define(Date, "UTC", EngineDate.UTC);
ObjectDefineProperty(Date, "prototype", { __proto__: null, value: EngineDate.prototype, writable: false });
define(EngineDate.prototype, "constructor", Date);

// === What else tells the time ===

/** Makes Intl and Temporal read the turn's clock. Idempotent: the engine adds some globals only at run time. */
export function freezeOtherClocks(global) {
  freezeIntl(global.Intl);
  if (global.Temporal !== undefined) freezeTemporal(global.Temporal);
}

let frozenFormat;

function freezeIntl(intl) {
  const prototype = intl?.DateTimeFormat?.prototype;
  if (prototype === undefined) return;
  const format = ObjectGetOwnPropertyDescriptor(prototype, "format");
  if (format?.get === undefined || format.get === frozenFormat) return;
  const boundFormats = new primordials.SafeWeakMap();
  const { WeakMapPrototypeGet, WeakMapPrototypeSet } = primordials;
  const accessor = {
    get format() {
      const engineFormat = ReflectApply(format.get, this, []);
      let bound = WeakMapPrototypeGet(boundFormats, engineFormat);
      if (bound === undefined) {
        bound = (date = op_clock_now()) => engineFormat(date);
        define(bound, "name", "");
        WeakMapPrototypeSet(boundFormats, engineFormat, bound);
      }
      return bound;
    },
  };
  frozenFormat = ObjectGetOwnPropertyDescriptor(accessor, "format").get;
  ObjectDefineProperty(prototype, "format", {
    __proto__: null,
    get: frozenFormat,
    set: undefined,
    enumerable: false,
    configurable: true,
  });
  const { formatToParts } = prototype;
  define(prototype, "formatToParts", {
    formatToParts(date = op_clock_now()) {
      return ReflectApply(formatToParts, this, [date]);
    },
  }.formatToParts);
}

let frozenInstant;

function freezeTemporal(temporal) {
  const { Now, Instant } = temporal;
  if (Now === undefined || Instant === undefined || Now.instant === frozenInstant) return;
  const { fromEpochMilliseconds } = Instant;
  const toZoned = Instant.prototype.toZonedDateTimeISO;
  const { timeZoneId } = Now;
  const zoned = temporal.ZonedDateTime.prototype;
  const { toPlainDate, toPlainTime, toPlainDateTime } = zoned;
  const instant = () => ReflectApply(fromEpochMilliseconds, Instant, [op_clock_now()]);
  const inZone = (zone) => ReflectApply(toZoned, instant(), [zone === undefined ? timeZoneId() : zone]);
  const methods = {
    instant() {
      return instant();
    },
    zonedDateTimeISO(zone = undefined) {
      return inZone(zone);
    },
    plainDateISO(zone = undefined) {
      return ReflectApply(toPlainDate, inZone(zone), []);
    },
    plainTimeISO(zone = undefined) {
      return ReflectApply(toPlainTime, inZone(zone), []);
    },
    plainDateTimeISO(zone = undefined) {
      return ReflectApply(toPlainDateTime, inZone(zone), []);
    },
  };
  frozenInstant = methods.instant;
  const names = ReflectOwnKeys(methods);
  for (let i = 0; i < names.length; i++) define(Now, names[i], methods[names[i]]);
}

// === performance ===

const now = () => op_clock_now() - op_clock_origin();

const kNew = { __proto__: null };

export class PerformanceEntry {
  #name;
  #entryType;
  #startTime;
  #duration;

  constructor(key = undefined, name = "", entryType = "", startTime = 0, duration = 0) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    this.#name = name;
    this.#entryType = entryType;
    this.#startTime = startTime;
    this.#duration = duration;
  }

  get name() {
    return this.#name;
  }

  get entryType() {
    return this.#entryType;
  }

  get startTime() {
    return this.#startTime;
  }

  get duration() {
    return this.#duration;
  }

  toJSON() {
    return { name: this.#name, entryType: this.#entryType, startTime: this.#startTime, duration: this.#duration };
  }

  static {
    finishInterface(PerformanceEntry, ["name", "entryType", "startTime", "duration"]);
  }
}

const detailOf = (options) => options?.detail === undefined || options.detail === null ? null : structuredClone(options.detail);

export class PerformanceMark extends PerformanceEntry {
  #detail;

  constructor(name, options = undefined) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to construct 'PerformanceMark': 1 argument required, but only 0 present.");
    }
    const startTime = options?.startTime === undefined ? now() : +options.startTime;
    if (startTime < 0) throw new TypeError("Failed to construct 'PerformanceMark': 'startTime' is negative.");
    super(kNew, `${name}`, "mark", startTime, 0);
    this.#detail = detailOf(options);
  }

  get detail() {
    return this.#detail;
  }

  static {
    finishInterface(PerformanceMark, ["name", "entryType", "startTime", "duration", "detail"]);
  }
}

/** @type {(name: string, startTime: number, duration: number, detail: any) => PerformanceMeasure} */
let newMeasure;

export class PerformanceMeasure extends PerformanceEntry {
  #detail = null;

  constructor(key = undefined, name = "", startTime = 0, duration = 0) {
    super(key, name, "measure", startTime, duration);
  }

  get detail() {
    return this.#detail;
  }

  static {
    newMeasure = (name, startTime, duration, detail) => {
      const measure = new PerformanceMeasure(kNew, name, startTime, duration);
      measure.#detail = detail;
      return measure;
    };
    finishInterface(PerformanceMeasure, ["name", "entryType", "startTime", "duration", "detail"]);
  }
}

// Entries stay for the life of the isolate: bounded, the oldest go first.
const MOST_ENTRIES = 1024;
let entries = [];

function record(entry) {
  if (entries.length >= MOST_ENTRIES) {
    const kept = [];
    for (let i = entries.length - MOST_ENTRIES / 2; i < entries.length; i++) ArrayPrototypePush(kept, entries[i]);
    entries = kept;
  }
  ArrayPrototypePush(entries, entry);
  return entry;
}

function select(matches) {
  const found = [];
  for (let i = 0; i < entries.length; i++) if (matches(entries[i])) ArrayPrototypePush(found, entries[i]);
  return ArrayPrototypeSort(found, (a, b) => a.startTime - b.startTime);
}

function clear(type, name) {
  const kept = [];
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i];
    if (entry.entryType !== type || (name !== undefined && entry.name !== `${name}`)) ArrayPrototypePush(kept, entry);
  }
  entries = kept;
}

/** A mark's name or a time to a time. */
function timeOf(mark) {
  if (typeof mark === "number") return mark;
  const name = `${mark}`;
  for (let i = entries.length - 1; i >= 0; i--) {
    if (entries[i].entryType === "mark" && entries[i].name === name) return entries[i].startTime;
  }
  throw new DOMException(`The mark '${name}' does not exist.`, "SyntaxError");
}

export class Performance extends events.EventTarget {
  constructor(key = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    super();
  }

  get timeOrigin() {
    return op_clock_origin();
  }

  now() {
    return now();
  }

  mark(name, options = undefined) {
    return record(new PerformanceMark(name, options));
  }

  measure(name, startOrOptions = undefined, endMark = undefined) {
    let start = startOrOptions;
    let end = endMark;
    let duration;
    let detail = null;
    if (typeof startOrOptions === "object" && startOrOptions !== null) {
      ({ start, end, duration } = startOrOptions);
      detail = detailOf(startOrOptions);
    }
    let to = end === undefined ? undefined : timeOf(end);
    let from = start === undefined ? undefined : timeOf(start);
    if (duration !== undefined) {
      if (to === undefined && from !== undefined) to = from + +duration;
      if (from === undefined && to !== undefined) from = to - +duration;
    }
    to ??= now();
    from ??= 0;
    return record(newMeasure(`${name}`, from, to - from, detail));
  }

  clearMarks(name = undefined) {
    clear("mark", name);
  }

  clearMeasures(name = undefined) {
    clear("measure", name);
  }

  getEntries() {
    return select(() => true);
  }

  getEntriesByName(name, type = undefined) {
    return select((entry) => entry.name === `${name}` && (type === undefined || entry.entryType === `${type}`));
  }

  getEntriesByType(type) {
    return select((entry) => entry.entryType === `${type}`);
  }

  toJSON() {
    return { timeOrigin: op_clock_origin() };
  }
}

finishInterface(Performance, ["timeOrigin"]);
export const performance = new Performance(kNew);
