// `HTMLRewriter`: registers handlers, and drives the parser of runtime/apis/html_rewriter over a response's body.
//
// The parser never calls JavaScript. `drive` has it run until it waits in a handler, calls the handler with a token, waits
// for its promise if it answers one, and has it run on; so a handler may take any time and any number of turns. A token's
// methods reach what the parser waits with; once its handler is done, the token is over (`session.live`).
// The result is a body that Rust holds: the transformed response moves to the client without passing through JavaScript.

import { core, primordials } from "ext:core/mod.js";
import {
  assertUsable,
  Body,
  cancelReader,
  chunkBytes,
  failBody,
  HANDLE,
  messageOf,
  nextChunk,
  streamOf,
  takeBody,
} from "ext:holm/body.js";
import { finishInterface, streams } from "ext:holm/engine.js";
import { valueIn } from "ext:holm/headers.js";
import { currentOwner } from "ext:holm/owner.js";
import { isResponse, responseBody, responseList, responseWith } from "ext:holm/response.js";

const {
  FunctionPrototypeCall,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectGetPrototypeOf,
  ObjectPrototype,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  ArrayPrototypePush,
  ArrayPrototypeSymbolIterator,
  PromisePrototypeThen,
  RegExpPrototypeExec,
  SafeMap,
  StringPrototypeStartsWith,
  StringPrototypeSlice,
  StringPrototypeEndsWith,
  TypeError,
} = primordials;
const {
  op_body_abort,
  op_body_cancel,
  op_body_check,
  op_body_close,
  op_body_open,
  op_fail,
  op_html_answers,
  op_html_attribute,
  op_html_attributes,
  op_html_check_selector,
  op_html_close,
  op_html_doctype,
  op_html_flush,
  op_html_give,
  op_html_give_content,
  op_html_has_attribute,
  op_html_last_in_text_node,
  op_html_namespace,
  op_html_on_end_tag,
  op_html_open,
  op_html_place,
  op_html_place_stream,
  op_html_read,
  op_html_remove,
  op_html_remove_attribute,
  op_html_removed,
  op_html_run,
  op_html_set_attribute,
  op_html_set_text,
  op_html_text,
} = core.ops;
const { acquireReadableStreamDefaultReader, ReadableStreamPrototype } = streams;

// What op_html_run answers.
const WANTS_INPUT = 0;
const DONE = 2;
const CALL = 3;
const CONTENT = 4;
const STEP = 7;
const FLUSH = 8;
const NUMBER = 4;

// Where a content goes.
const BEFORE = 0;
const AFTER = 1;
const PREPEND = 2;
const APPEND = 3;
const REPLACE = 4;
const INNER = 5;

const TOKEN = 0;
const TAGS = 1;

const STREAM_FAILED = 4;
const CHARSET = /;[\t ]*charset[\t ]*=[\t ]*("[^"]*"|[^;\t ]*)/i;

const ignore = () => {};
const kNew = { __proto__: null };

// === Tokens ===

/** The session that a token belongs to while its handler runs. Another invocation has no use of it. */
function live(session) {
  if (session === undefined) {
    throw new TypeError(
      "This content token is no longer valid. Content tokens are only valid during the execution of the relevant content handler.",
    );
  }
  const user = currentOwner();
  if (user !== session.owner) op_body_check(user, session.out);
  return session;
}

function place(session, at, content, options, target) {
  const { owner, id } = live(session);
  const html = options === undefined || options === null ? false : !!options.html;
  const stream = contentStream(content);
  if (stream === undefined) {
    op_html_place(owner, id, at, `${content}`, html);
  } else {
    const number = session.next++;
    op_html_place_stream(owner, id, at, number, html);
    MapPrototypeSet(session.contents, number, stream === null ? null : acquireReadableStreamDefaultReader(stream));
  }
  return target;
}

/** The stream of a content that is one, `null` for a response without a body, `undefined` for what is text. */
function contentStream(content) {
  if (typeof content !== "object" || content === null) return undefined;
  if (ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, content)) return content;
  if (!isResponse(content)) return undefined;
  const source = responseBody(content);
  return source === null ? null : streamOf(source);
}

let sessionOf;
let placeAt;
let removeToken;
let removed;
let textOf;
let setText;
let endToken;

/** What every token has. */
class Token {
  #session;

  constructor(key = undefined, session = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    this.#session = session;
  }

  static {
    sessionOf = (token) => live(token.#session);
    placeAt = (token, at, content, options) => place(token.#session, at, content, options, token);
    removeToken = (token, what) => {
      const { owner, id } = live(token.#session);
      op_html_remove(owner, id, what);
      return token;
    };
    removed = (token) => {
      const { owner, id } = live(token.#session);
      return op_html_removed(owner, id);
    };
    textOf = (token) => {
      const { owner, id } = live(token.#session);
      return op_html_text(owner, id);
    };
    setText = (token, text) => {
      const { owner, id } = live(token.#session);
      op_html_set_text(owner, id, `${text}`);
    };
    endToken = (token) => {
      token.#session = undefined;
    };
  }
}

/** A class whose instances show nothing of `Token`. */
function finish(Interface, inspected) {
  ObjectSetPrototypeOf(Interface.prototype, ObjectPrototype);
  finishInterface(Interface, inspected);
}

class Element extends Token {
  get tagName() {
    return textOf(this);
  }

  set tagName(name) {
    setText(this, name);
  }

  get attributes() {
    return new AttributesIterator(kNew, this);
  }

  get removed() {
    return removed(this);
  }

  get namespaceURI() {
    const { owner, id } = sessionOf(this);
    return op_html_namespace(owner, id);
  }

  getAttribute(name) {
    const { owner, id } = sessionOf(this);
    return op_html_attribute(owner, id, `${name}`);
  }

  hasAttribute(name) {
    const { owner, id } = sessionOf(this);
    return op_html_has_attribute(owner, id, `${name}`);
  }

  setAttribute(name, value) {
    const { owner, id } = sessionOf(this);
    op_html_set_attribute(owner, id, `${name}`, `${value}`);
    return this;
  }

  removeAttribute(name) {
    const { owner, id } = sessionOf(this);
    op_html_remove_attribute(owner, id, `${name}`);
    return this;
  }

  before(content, options = undefined) {
    return placeAt(this, BEFORE, content, options);
  }

  after(content, options = undefined) {
    return placeAt(this, AFTER, content, options);
  }

  prepend(content, options = undefined) {
    return placeAt(this, PREPEND, content, options);
  }

  append(content, options = undefined) {
    return placeAt(this, APPEND, content, options);
  }

  replace(content, options = undefined) {
    return placeAt(this, REPLACE, content, options);
  }

  setInnerContent(content, options = undefined) {
    return placeAt(this, INNER, content, options);
  }

  remove() {
    return removeToken(this, TOKEN);
  }

  removeAndKeepContent() {
    return removeToken(this, TAGS);
  }

  /** Replaces a handler that was given before. */
  onEndTag(handler) {
    const session = sessionOf(this);
    if (typeof handler !== "function") {
      throw new TypeError("Failed to execute 'onEndTag' on 'Element': parameter 1 is not of type 'Function'.");
    }
    const number = session.next++;
    op_html_on_end_tag(session.owner, session.id, number);
    MapPrototypeSet(session.endTags, number, handler);
  }
}

/** `[name, value]` of each attribute, as they were when it was made. */
class AttributesIterator {
  #element;
  #values;
  #at = 0;

  constructor(key = undefined, element = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    const { owner, id } = sessionOf(element);
    this.#element = element;
    this.#values = op_html_attributes(owner, id);
  }

  next() {
    sessionOf(this.#element);
    const values = this.#values;
    const at = this.#at;
    if (at >= values.length) return { value: undefined, done: true };
    this.#at = at + 2;
    return { value: [values[at], values[at + 1]], done: false };
  }
}

class EndTag extends Token {
  get name() {
    return textOf(this);
  }

  set name(name) {
    setText(this, name);
  }

  before(content, options = undefined) {
    return placeAt(this, BEFORE, content, options);
  }

  after(content, options = undefined) {
    return placeAt(this, AFTER, content, options);
  }

  remove() {
    return removeToken(this, TOKEN);
  }
}

class Comment extends Token {
  get text() {
    return textOf(this);
  }

  set text(text) {
    setText(this, text);
  }

  get removed() {
    return removed(this);
  }

  before(content, options = undefined) {
    return placeAt(this, BEFORE, content, options);
  }

  after(content, options = undefined) {
    return placeAt(this, AFTER, content, options);
  }

  replace(content, options = undefined) {
    return placeAt(this, REPLACE, content, options);
  }

  remove() {
    return removeToken(this, TOKEN);
  }
}

class Text extends Token {
  get text() {
    return textOf(this);
  }

  get lastInTextNode() {
    const { owner, id } = sessionOf(this);
    return op_html_last_in_text_node(owner, id);
  }

  get removed() {
    return removed(this);
  }

  before(content, options = undefined) {
    return placeAt(this, BEFORE, content, options);
  }

  after(content, options = undefined) {
    return placeAt(this, AFTER, content, options);
  }

  replace(content, options = undefined) {
    return placeAt(this, REPLACE, content, options);
  }

  remove() {
    return removeToken(this, TOKEN);
  }
}

const doctypePart = (token, part) => {
  const { owner, id } = sessionOf(token);
  return op_html_doctype(owner, id, part);
};

class Doctype extends Token {
  get name() {
    return doctypePart(this, 0);
  }

  get publicId() {
    return doctypePart(this, 1);
  }

  get systemId() {
    return doctypePart(this, 2);
  }
}

class DocumentEnd extends Token {
  append(content, options = undefined) {
    if (contentStream(content) !== undefined) {
      throw new TypeError("The content appended to the end of a document has to be a string.");
    }
    return placeAt(this, APPEND, content, options);
  }
}

finish(Element, ["tagName", "removed", "namespaceURI"]);
finish(EndTag, ["name"]);
finish(Comment, ["text", "removed"]);
finish(Text, ["text", "lastInTextNode", "removed"]);
finish(Doctype, ["name", "publicId", "systemId"]);
finish(DocumentEnd, []);
finishInterface(AttributesIterator);
// %IteratorPrototype%, which makes it iterable.
ObjectSetPrototypeOf(
  AttributesIterator.prototype,
  ObjectGetPrototypeOf(ObjectGetPrototypeOf(ArrayPrototypeSymbolIterator([]))),
);

// === Driving a parser ===

/** The transformation of one response. */
class Session {
  owner;
  id;
  /** The handle of the body that is written. */
  out;
  /** Called by number, with the handlers object as `this`. */
  handlers;
  endTags = new SafeMap();
  /** Streamed contents by number, from their placing until they are written: a reader, or `null` for an empty one. */
  contents = new SafeMap();
  /** The next number of an end tag's handler or of a streamed content. */
  next;
  /** Reads the input; `undefined` where Rust does, or once there is no more. */
  reader = undefined;
  /** The handle of an input that Rust holds, 0 for none. */
  source = 0;
  /** The result has moved elsewhere, or is over. */
  released = false;
  /** Nobody reads the result any more. */
  abandoned = false;

  constructor(owner, id, out, handlers) {
    this.owner = owner;
    this.id = id;
    this.out = out;
    this.handlers = handlers;
    this.next = handlers.length;
  }
}

/** Takes the input out of its response. */
function takeInput(session, source) {
  const data = takeBody(source);
  if (data === undefined) {
    session.reader = acquireReadableStreamDefaultReader(source.stream);
  } else if (typeof data === "number") {
    session.source = data;
  } else {
    op_html_give(session.owner, session.id, data);
    op_html_give(session.owner, session.id, null);
  }
}

async function drive(session, result) {
  const { owner, id, out } = session;
  let failed = false;
  let failure;
  try {
    // Handlers are never called before transform() has returned.
    await undefined;
    for (;;) {
      const answer = op_html_run(owner, id);
      const step = answer & STEP;
      if (step === WANTS_INPUT || step === DONE || (answer & FLUSH) !== 0) {
        try {
          const room = op_html_flush(owner, id, out);
          if (room !== true) await room;
        } catch (error) {
          session.abandoned = true;
          throw error;
        }
      }
      if (step === CALL) {
        const called = call(session, answer >>> NUMBER);
        if (called !== undefined) await called;
      } else if (step === WANTS_INPUT) {
        await read(session);
      } else if (step === CONTENT) {
        await readContent(session, answer >>> NUMBER);
      } else if (step === DONE) {
        break;
      }
    }
    op_body_close(out);
  } catch (error) {
    failed = true;
    failure = error;
  }
  op_html_close(owner, id);
  if (failed) fail(session, result, failure);
}

/** Calls a handler with a token of its kind. Answers a promise where the handler does. */
function call(session, number) {
  const registered = session.handlers[number];
  let token;
  let value;
  try {
    if (registered === undefined) {
      const handler = MapPrototypeGet(session.endTags, number);
      MapPrototypeDelete(session.endTags, number);
      token = new EndTag(kNew, session);
      value = handler(token);
    } else {
      token = new registered.Interface(kNew, session);
      value = FunctionPrototypeCall(registered.handler, registered.receiver, token);
    }
  } catch (error) {
    endToken(token);
    throw error;
  }
  if ((typeof value === "object" && value !== null) || typeof value === "function") return settled(token, value);
  endToken(token);
  return undefined;
}

async function settled(token, value) {
  try {
    await value;
  } finally {
    endToken(token);
  }
}

async function read(session) {
  if (session.source !== 0) {
    await op_html_read(session.owner, session.id, session.source);
    return;
  }
  const read = await nextChunk(session.reader);
  if (read === null) session.reader = undefined;
  op_html_give(session.owner, session.id, read === null ? null : chunkBytes(read.chunk));
}

async function readContent(session, number) {
  const reader = MapPrototypeGet(session.contents, number);
  let chunk = null;
  if (reader !== null) {
    const read = await nextChunk(reader);
    if (read !== null) chunk = chunkBytes(read.chunk);
  }
  if (chunk === null) MapPrototypeDelete(session.contents, number);
  op_html_give_content(session.owner, session.id, chunk);
}

/** The transformation has failed, or nobody reads its result any more. */
function fail(session, result, error) {
  const { owner, out, reader, source } = session;
  const answers = !session.abandoned && op_html_answers(out);
  op_body_abort(out, messageOf(error));
  if (answers) op_fail(owner, STREAM_FAILED, error);
  if (!session.released) failBody(result, error);
  if (source !== 0) op_body_cancel(0, source);
  if (reader !== undefined) PromisePrototypeThen(cancelReader(reader, error), ignore, ignore);
  for (let number = session.handlers.length; number < session.next; number++) {
    const content = MapPrototypeGet(session.contents, number);
    if (content !== undefined && content !== null) {
      PromisePrototypeThen(cancelReader(content, error), ignore, ignore);
    }
  }
}

function charsetOf(list) {
  const type = valueIn(list, "content-type");
  const found = type === null ? null : RegExpPrototypeExec(CHARSET, type);
  if (found === null) return "utf-8";
  const label = found[1];
  return label.length > 1 && StringPrototypeStartsWith(label, '"') && StringPrototypeEndsWith(label, '"')
    ? StringPrototypeSlice(label, 1, -1)
    : label;
}

// === HTMLRewriter ===

export class HTMLRewriter {
  /** Five for each call: a selector or `null`, and the numbers of its handlers, -1 for none. */
  #registrations = [];
  #handlers = [];

  on(selector, handlers) {
    if (arguments.length < 2) missingArguments("on", 2, arguments.length);
    selector = `${selector}`;
    op_html_check_selector(selector);
    checkHandlers("ElementContentHandlers", "on", 2, handlers);
    const { element, comments, text } = handlers;
    this.#register(selector, "ElementContentHandlers", handlers, [
      ["element", element, Element],
      ["comments", comments, Comment],
      ["text", text, Text],
      ["", undefined, undefined],
    ]);
    return this;
  }

  onDocument(handlers) {
    if (arguments.length < 1) missingArguments("onDocument", 1, arguments.length);
    checkHandlers("DocumentContentHandlers", "onDocument", 1, handlers);
    const { doctype, comments, text, end } = handlers;
    this.#register(null, "DocumentContentHandlers", handlers, [
      ["doctype", doctype, Doctype],
      ["comments", comments, Comment],
      ["text", text, Text],
      ["end", end, DocumentEnd],
    ]);
    return this;
  }

  #register(selector, type, receiver, fields) {
    for (let i = 0; i < fields.length; i++) {
      const handler = fields[i][1];
      if (handler !== undefined && typeof handler !== "function") {
        throw new TypeError(
          `Incorrect type for the '${fields[i][0]}' field on '${type}': the provided value is not of type 'function'.`,
        );
      }
    }
    ArrayPrototypePush(this.#registrations, selector);
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      if (field[1] === undefined) {
        ArrayPrototypePush(this.#registrations, -1);
      } else {
        ArrayPrototypePush(this.#registrations, this.#handlers.length);
        ArrayPrototypePush(this.#handlers, { __proto__: null, Interface: field[2], handler: field[1], receiver });
      }
    }
  }

  /** A response with the same head, whose body is the other's, rewritten. */
  transform(original) {
    if (!isResponse(original)) {
      void this.#handlers; // throws on a wrong receiver
      throw new TypeError("Failed to execute 'transform' on 'HTMLRewriter': parameter 1 is not of type 'Response'.");
    }
    const handlers = [];
    for (let i = 0; i < this.#handlers.length; i++) ArrayPrototypePush(handlers, this.#handlers[i]);
    const source = responseBody(original);
    if (source === null) return original;
    const invocation = currentOwner();
    const id = op_html_open(invocation, charsetOf(responseList(original)), this.#registrations);
    let out = 0;
    try {
      assertUsable(source);
      out = op_body_open(invocation, -1);
      const session = new Session(invocation, id, out, handlers);
      const result = new Body(HANDLE, out);
      result.release = () => {
        session.released = true;
      };
      const transformed = responseWith(original, result);
      takeInput(session, source);
      drive(session, result);
      return transformed;
    } catch (error) {
      op_html_close(invocation, id);
      if (out !== 0) op_body_cancel(0, out);
      throw error;
    }
  }
}

finishInterface(HTMLRewriter);

function missingArguments(method, expected, present) {
  throw new TypeError(
    `Failed to execute '${method}' on 'HTMLRewriter': ${expected} argument${
      expected === 1 ? "" : "s"
    } required, but only ${present} present.`,
  );
}

function checkHandlers(type, method, position, handlers) {
  if ((typeof handlers !== "object" && typeof handlers !== "function") || handlers === null) {
    throw new TypeError(
      `Failed to execute '${method}' on 'HTMLRewriter': parameter ${position} is not of type '${type}'.`,
    );
  }
}
