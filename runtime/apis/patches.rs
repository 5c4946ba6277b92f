//! Small changes to the deno crates' scripts, made while the snapshot is made: places that look up at run time what a
//! worker's script can replace, or that keep to themselves what a shim needs.
//!
//! Invariant: each change fits exactly once. A version that has moved the text fails the build, and is looked at.

use std::borrow::Cow;
use std::sync::Arc;

use deno_core::ExtensionFileSource;

/// In the script `specifier`, `before` becomes `after`.
struct Patch {
    specifier: &'static str,
    before: &'static str,
    after: &'static str,
}

const PATCHES: &[Patch] = &[
    // `promise` is a required member (HTML 8.1.5.1).
    Patch {
        specifier: "ext:deno_web/02_event.js",
        before: "    this.#promise = promise;\n    this.#reason = reason;",
        after: "    if (promise === undefined) {\n      throw new TypeError(\n        \"Failed to construct 'PromiseRejectionEvent': required member promise is undefined.\",\n      );\n    }\n    this.#promise = promise;\n    this.#reason = reason;",
    },
    // A sequence that is an array is read without the array iterator, as engines with native bindings do.
    Patch {
        specifier: "ext:deno_webidl/00_webidl.js",
        before: "    const iter = V?.[SymbolIterator]?.();\n    if (iter === undefined) {\n      throw makeException(\n        TypeError,\n        \"can not be converted to sequence.\",",
        after: "    if (primordials.ArrayIsArray(V) && !ObjectHasOwn(V, SymbolIterator)) {\n      const items = [];\n      for (let i = 0; i < V.length; i++) {\n        ArrayPrototypePush(items, converter(V[i], prefix, `${context}, index ${i}`, opts));\n      }\n      return items;\n    }\n    const iter = V?.[SymbolIterator]?.();\n    if (iter === undefined) {\n      throw makeException(\n        TypeError,\n        \"can not be converted to sequence.\",",
    },
    Patch {
        specifier: "ext:deno_web/03_abort_signal.js",
        before: "const { assert } = core.loadExtScript(\"ext:deno_web/00_infra.js\");",
        after: "const { assert } = core.loadExtScript(\"ext:deno_web/00_infra.js\");\nconst { DOMException } = core.loadExtScript(\"ext:deno_web/01_dom_exception.js\");",
    },
    Patch {
        specifier: "ext:deno_web/03_abort_signal.js",
        before: "      super.dispatchEvent(event);",
        after: "      FunctionPrototypeApply(dispatchEvent, this, [event]);",
    },
    Patch {
        specifier: "ext:deno_web/03_abort_signal.js",
        before: "const add = Symbol(\"[[add]]\");",
        after: "const { dispatchEvent } = EventTarget.prototype;\nconst add = Symbol(\"[[add]]\");",
    },
    Patch {
        specifier: "ext:deno_web/03_abort_signal.js",
        before: "  [add](algorithm) {\n    if (this.aborted) {",
        after: "  [add](algorithm) {\n    if (this[abortReason] !== undefined) {",
    },
    Patch {
        specifier: "ext:deno_web/03_abort_signal.js",
        before: "    if (this.aborted) {\n      return;\n    }\n    this[abortReason] = reason;",
        after: "    if (this[abortReason] !== undefined) {\n      return;\n    }\n    this[abortReason] = reason;",
    },
    Patch {
        specifier: "ext:deno_web/06_streams.js",
        before: "    destBuffer.set(srcBuffer);",
        after: "    TypedArrayPrototypeSet(destBuffer, srcBuffer);",
    },
    // `slice` asks the prototype which constructor to use.
    Patch {
        specifier: "ext:deno_web/06_streams.js",
        before: "    return TypedArrayPrototypeSlice(\n      new Uint8Array(\n        TypedArrayPrototypeGetBuffer(/** @type {Uint8Array} */ (O)),\n        TypedArrayPrototypeGetByteOffset(/** @type {Uint8Array} */ (O)),\n        TypedArrayPrototypeGetByteLength(/** @type {Uint8Array} */ (O)),\n      ),\n    );",
        after: "    const copy = new Uint8Array(TypedArrayPrototypeGetByteLength(O));\n    TypedArrayPrototypeSet(\n      copy,\n      new Uint8Array(\n        TypedArrayPrototypeGetBuffer(/** @type {Uint8Array} */ (O)),\n        TypedArrayPrototypeGetByteOffset(/** @type {Uint8Array} */ (O)),\n        TypedArrayPrototypeGetByteLength(/** @type {Uint8Array} */ (O)),\n      ),\n    );\n    return copy;",
    },
    // Options that nobody gave are nobody's, whatever a script has put on Object.prototype.
    Patch {
        specifier: "ext:deno_web/06_streams.js",
        before: "      : {};\n\n    const underlyingSourceDict",
        after: "      : { __proto__: null };\n\n    const underlyingSourceDict",
    },
    Patch {
        specifier: "ext:deno_web/06_streams.js",
        before: "      : {};\n    this[_brand] = _brand;\n\n    initializeReadableStream",
        after: "      : { __proto__: null };\n    this[_brand] = _brand;\n\n    initializeReadableStream",
    },
    Patch {
        specifier: "ext:deno_web/06_streams.js",
        before: "      : {};\n    this[_brand] = _brand;\n    if (underlyingSink",
        after: "      : { __proto__: null };\n    this[_brand] = _brand;\n    if (underlyingSink",
    },
    Patch {
        specifier: "ext:deno_web/02_event.js",
        before: "    return { capture: !!V, once: false, passive: false };",
        after: "    return { __proto__: null, capture: !!V, once: false, passive: false };",
    },
    Patch {
        specifier: "ext:deno_web/02_event.js",
        before: "  const options = {\n    capture: !!V.capture,",
        after: "  const options = {\n    __proto__: null,\n    capture: !!V.capture,",
    },
    // Fields are defined; an assignment would look for a setter of a script.
    Patch {
        specifier: "ext:deno_web/02_event.js",
        before: "class MessageEvent extends Event {\n  #source = null;",
        after: "class MessageEvent extends Event {\n  #source = null;\n  data = null;\n  ports = null;\n  origin = \"\";\n  lastEventId = \"\";",
    },
    // The inner read: its results never become objects that a script's `then` could see.
    Patch {
        specifier: "ext:deno_web/06_streams.js",
        before: "  readableStreamDisturb,\n  readableStreamError,",
        after: "  readableStreamDefaultReaderRead,\n  readableStreamDisturb,\n  readableStreamError,",
    },
    Patch {
        specifier: "ext:deno_web/00_url.js",
        before: "new URLSearchParams(this.search);",
        after: "new URLSearchParams(searchOf(this));",
    },
    Patch {
        specifier: "ext:deno_web/00_url.js",
        before: "const URLPrototype = URL.prototype;",
        after: "const URLPrototype = URL.prototype;\nconst searchOf = primordials.uncurryThis(ObjectGetOwnPropertyDescriptor(URLPrototype, \"search\").get);",
    },
];

/// The scripts with their changes.
///
/// # Panics
/// When a change does not fit: the deno crates are another version than the one that the changes were written for.
#[must_use]
pub fn patched(sources: &[ExtensionFileSource]) -> Cow<'static, [ExtensionFileSource]> {
    Cow::Owned(sources.iter().map(patched_source).collect())
}

fn patched_source(source: &ExtensionFileSource) -> ExtensionFileSource {
    let mut patches = PATCHES.iter().filter(|patch| patch.specifier == source.specifier).peekable();
    if patches.peek().is_none() {
        return source.clone();
    }
    let mut code = source.load().expect("the script is in its crate").as_str().to_owned();
    for Patch { specifier, before, after } in patches {
        assert_eq!(code.matches(before).count(), 1, "a change of {specifier} fits once:\n{before}");
        code = code.replace(before, after);
    }
    ExtensionFileSource::new_computed(source.specifier, Arc::from(code))
}
