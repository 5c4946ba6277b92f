//! What the shims may not do: look up at run time what a worker's script can replace. A lint over the tokens of `js-shims/`.
//!
//! Refused are the methods of built-in objects (`list.push(x)` for `ArrayPrototypePush(list, x)`), the names of globals that
//! were not taken from `primordials` or imported, `for … of` and spread and destructuring of arrays (all ask for an iterator),
//! and `instanceof`. `ALLOWED` names the lines where a script's own value is meant.

use std::collections::BTreeSet;
use std::path::Path;

/// File and line, where the value is the script's own and is to be read as the standard says, or where it is a class of the
/// shims that only looks like a built-in one.
const ALLOWED: &[(&str, &str)] = &[
    ("blob.js", "for (const item of value) ArrayPrototypePush(items, item);"),
    ("headers.js", "for (const entry of init) {"),
    ("headers.js", "for (const item of entry) {"),
    ("message_channel.js", "for (const item of list) add(item);"),
];

/// Parts of the files that run while the snapshot is made, before there is a script: from this line to that.
const BEFORE_SCRIPTS: &[(&str, &str, &str)] = &[
    ("engine.js", "// Views of streams' inner state", "core.registerErrorBuilder(\"DOMExceptionQuota"),
    ("entry.js", "/** Runs what a first request needs", "installGlobals();"),
];

const METHODS: &[&str] = &[
    "add",
    "apply",
    "at",
    "bind",
    "call",
    "catch",
    "charAt",
    "charCodeAt",
    "codePointAt",
    "concat",
    "copyWithin",
    "defineProperty",
    "delete",
    "endsWith",
    "entries",
    "every",
    "exec",
    "fill",
    "filter",
    "finally",
    "find",
    "findIndex",
    "flat",
    "flatMap",
    "forEach",
    "freeze",
    "from",
    "get",
    "has",
    "hasOwnProperty",
    "includes",
    "indexOf",
    "isArray",
    "join",
    "keys",
    "lastIndexOf",
    "localeCompare",
    "map",
    "match",
    "matchAll",
    "next",
    "of",
    "padEnd",
    "padStart",
    "parse",
    "pop",
    "push",
    "reduce",
    "repeat",
    "replace",
    "replaceAll",
    "reverse",
    "search",
    "set",
    "shift",
    "slice",
    "some",
    "sort",
    "splice",
    "split",
    "startsWith",
    "stringify",
    "subarray",
    "substring",
    "test",
    "then",
    "toLowerCase",
    "toString",
    "toUpperCase",
    "trim",
    "unshift",
    "valueOf",
    "values",
    "with",
];

const GLOBALS: &[&str] = &[
    "Array",
    "ArrayBuffer",
    "Atomics",
    "BigInt",
    "Blob",
    "Boolean",
    "DataView",
    "Date",
    "Error",
    "EvalError",
    "Event",
    "EventTarget",
    "File",
    "Float64Array",
    "FormData",
    "Function",
    "Headers",
    "Infinity",
    "Int32Array",
    "Intl",
    "Iterator",
    "JSON",
    "Map",
    "Math",
    "NaN",
    "Number",
    "Object",
    "Promise",
    "Proxy",
    "RangeError",
    "ReadableStream",
    "ReferenceError",
    "Reflect",
    "RegExp",
    "Request",
    "Response",
    "Set",
    "String",
    "Symbol",
    "SyntaxError",
    "TextDecoder",
    "TextEncoder",
    "TransformStream",
    "TypeError",
    "URL",
    "URLSearchParams",
    "Uint8Array",
    "WeakMap",
    "WeakRef",
    "WeakSet",
    "WebAssembly",
    "WritableStream",
    "atob",
    "btoa",
    "console",
    "decodeURIComponent",
    "encodeURIComponent",
    "escape",
    "eval",
    "fetch",
    "globalThis",
    "isFinite",
    "isNaN",
    "parseFloat",
    "parseInt",
    "performance",
    "queueMicrotask",
    "self",
    "setTimeout",
    "structuredClone",
    "unescape",
];

/// Constructors that take an iterable, or whose instances are of use only through methods: `primordials` has safe ones.
const UNSAFE_PRIMORDIALS: &[&str] =
    &["Array", "Map", "Set", "WeakMap", "WeakSet", "RegExp", "WeakRef", "FinalizationRegistry"];

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Name,
    Mark,
    /// A text, a number, a regular expression.
    Literal,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    text: String,
    line: usize,
}

// === Tokens ===

/// Enough of JavaScript's lexical grammar for the shims: templates become the tokens of their substitutions.
fn tokens(source: &str) -> Vec<Token> {
    let bytes: Vec<char> = source.chars().collect();
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut at = 0;
    // For each open template, how many braces are open within its substitution.
    let mut templates: Vec<usize> = Vec::new();
    let peek = |at: usize| bytes.get(at).copied().unwrap_or('\0');
    while at < bytes.len() {
        let c = bytes[at];
        let push = |tokens: &mut Vec<Token>, kind: Kind, text: String| tokens.push(Token { kind, text, line });
        match c {
            '\n' => {
                line += 1;
                at += 1;
            }
            c if c.is_whitespace() => at += 1,
            '/' if peek(at + 1) == '/' => {
                while at < bytes.len() && bytes[at] != '\n' {
                    at += 1;
                }
            }
            '/' if peek(at + 1) == '*' => {
                at += 2;
                while at < bytes.len() && !(bytes[at] == '*' && peek(at + 1) == '/') {
                    line += usize::from(bytes[at] == '\n');
                    at += 1;
                }
                at += 2;
            }
            '"' | '\'' => {
                at += 1;
                while at < bytes.len() && bytes[at] != c {
                    at += 1 + usize::from(bytes[at] == '\\');
                }
                at += 1;
                push(&mut tokens, Kind::Literal, "\"\"".to_owned());
            }
            '`' => {
                push(&mut tokens, Kind::Literal, "``".to_owned());
                at = template(&bytes, at + 1, &mut line, &mut templates);
            }
            '}' if templates.last() == Some(&0) => {
                templates.pop();
                push(&mut tokens, Kind::Literal, "``".to_owned());
                at = template(&bytes, at + 1, &mut line, &mut templates);
            }
            '/' if regex_may_begin(tokens.last()) => {
                at += 1;
                let mut class = false;
                while at < bytes.len() && (class || bytes[at] != '/') {
                    match bytes[at] {
                        '\\' => at += 1,
                        '[' => class = true,
                        ']' => class = false,
                        _ => {}
                    }
                    at += 1;
                }
                at += 1;
                while peek(at).is_alphabetic() {
                    at += 1;
                }
                push(&mut tokens, Kind::Literal, "//".to_owned());
            }
            c if c.is_alphabetic() || c == '_' || c == '$' || c == '#' => {
                let start = at;
                while peek(at).is_alphanumeric() || matches!(peek(at), '_' | '$' | '#') {
                    at += 1;
                }
                push(&mut tokens, Kind::Name, bytes[start..at].iter().collect());
            }
            c if c.is_ascii_digit() => {
                while peek(at).is_alphanumeric() || matches!(peek(at), '_' | '.') {
                    at += 1;
                }
                push(&mut tokens, Kind::Literal, "0".to_owned());
            }
            '.' if peek(at + 1) == '.' => {
                at += 3;
                push(&mut tokens, Kind::Mark, "...".to_owned());
            }
            '?' if peek(at + 1) == '.' => {
                at += 2;
                push(&mut tokens, Kind::Mark, ".".to_owned());
            }
            '=' if peek(at + 1) == '>' => {
                at += 2;
                push(&mut tokens, Kind::Mark, "=>".to_owned());
            }
            c => {
                if let Some(open) = templates.last_mut() {
                    match c {
                        '{' => *open += 1,
                        '}' => *open -= 1,
                        _ => {}
                    }
                }
                at += 1;
                push(&mut tokens, Kind::Mark, c.to_string());
            }
        }
    }
    tokens
}

/// Reads a template's text from `at` to its end, or to the substitution that begins next.
fn template(bytes: &[char], mut at: usize, line: &mut usize, templates: &mut Vec<usize>) -> usize {
    while at < bytes.len() && bytes[at] != '`' {
        if bytes[at] == '$' && bytes.get(at + 1) == Some(&'{') {
            templates.push(0);
            return at + 2;
        }
        *line += usize::from(bytes[at] == '\n');
        at += 1 + usize::from(bytes[at] == '\\');
    }
    at + 1
}

fn regex_may_begin(before: Option<&Token>) -> bool {
    match before {
        None => true,
        Some(Token { kind: Kind::Mark, text, .. }) => !matches!(text.as_str(), ")" | "]" | "}"),
        Some(Token { kind: Kind::Name, text, .. }) => matches!(text.as_str(), "return" | "typeof" | "case"),
        Some(Token { kind: Kind::Literal, .. }) => false,
    }
}

// === Rules ===

/// Names that the file itself binds: imports, declarations, parameters of destructuring.
fn bound(tokens: &[Token]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "class" | "function" => {
                names.extend(tokens.get(index + 1).map(|name| name.text.as_str()));
            }
            "const" | "let" | "import" if token.kind == Kind::Name => {
                if tokens.get(index + 1).is_some_and(|next| next.text == "{") {
                    let list = tokens[index + 2..].iter().take_while(|token| token.text != "}");
                    names.extend(list.filter(|token| token.kind == Kind::Name).map(|token| token.text.as_str()));
                } else {
                    names.extend(tokens.get(index + 1).map(|name| name.text.as_str()));
                }
            }
            // Parameters.
            "(" => {
                let close = tokens[index..].iter().position(|token| token.text == ")").map_or(index, |at| index + at);
                if tokens.get(close + 1).is_some_and(|next| matches!(next.text.as_str(), "=>" | "{")) {
                    names.extend(tokens[index..close].iter().filter(|t| t.kind == Kind::Name).map(|t| t.text.as_str()));
                }
            }
            _ => {}
        }
    }
    names
}

/// Receivers whose properties are functions of the platform itself, not of a built-in prototype.
const NAMESPACES: &[&str] = &["this", "super", "core", "webidl", "inspection", "seams", "primordials", "internals"];

fn violations(source: &str) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    let bound = bound(&tokens);
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let name = token.text.as_str();
        let before = if index == 0 { "" } else { text(index - 1) };
        let mut refuse = |what: String| found.push((token.line, what));
        if token.kind == Kind::Name && before == "." && text(index + 1) == "(" && METHODS.contains(&name) {
            let receiver = if index < 2 { "" } else { text(index - 2) };
            if !NAMESPACES.contains(&receiver) {
                refuse(format!("`{receiver}.{name}()` is looked up at run time"));
            }
        }
        let is_key = matches!(text(index + 1), ":")
            || before == "."
            || (text(index + 1) == "(" && matches!(before, "get" | "set"));
        if token.kind == Kind::Name && GLOBALS.contains(&name) && !bound.contains(name) && !is_key {
            refuse(format!("`{name}` is a global"));
        }
        if UNSAFE_PRIMORDIALS.contains(&name) && before == "new" {
            refuse(format!("`new {name}` has methods that can be replaced"));
        }
        if name == "instanceof" {
            refuse("`instanceof` asks for Symbol.hasInstance".to_owned());
        }
        if name == "of"
            && token.kind == Kind::Name
            && !(text(index + 1) == "new" && text(index + 2).starts_with("Safe"))
            && text(index + 1) != "("
            && before != "."
        {
            refuse("`for … of` asks for an iterator".to_owned());
        }
        if name == "..." {
            let rest = (text(index + 2) == ")" && matches!(text(index + 3), "{" | "=>")) || text(index + 2) == "}";
            let of_object = matches!(before, "{") || (text(index + 2) == "," && before != "[" && before != "(");
            if !rest && !of_object && !text(index + 2).starts_with("Safe") {
                refuse("spread asks for an iterator".to_owned());
            }
        }
        if name == "[" && matches!(before, "const" | "let") {
            refuse("destructuring of an array asks for an iterator".to_owned());
        }
    }
    found
}

#[test]
fn the_lint_finds_what_it_is_for() {
    let bad = [
        "list.push(1);",
        "const x = items?.map((item) => item);",
        "JSON.parse(text);",
        "for (const x of list) use(x);",
        "call(...list);",
        "const all = [...list];",
        "const [a, b] = pair;",
        "if (error instanceof TypeError) {}",
        "const { Map } = primordials;\nnew Map();",
        "const text = `${list.join()}`;",
        "promise.then(done);",
    ];
    for source in bad {
        assert!(!violations(source).is_empty(), "nothing found in {source}");
    }
    let good = [
        "ArrayPrototypePush(list, 1);",
        "const { JSONParse } = primordials;\nJSONParse(text);",
        "for (const x of new SafeSetIterator(set)) use(x);",
        "function f(...args) { return args; }",
        "const g = (...args) => args;",
        "const { a, ...others } = options;",
        "const copy = { ...options, a: 1 };",
        "// list.push(1) in a comment\nconst text = 'list.push(1)';",
        "const pattern = /list.push(1)/;",
        "import { fetch } from \"ext:holm/fetch.js\";\nfetch(1);",
        "class X { get() { return this.get(); } }",
        "const o = { Map: 1 };",
    ];
    for source in good {
        assert_eq!(violations(source), [], "{source}");
    }
}

#[test]
fn shims_look_nothing_up_that_a_script_can_replace() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("js-shims");
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> = ALLOWED.iter().copied().collect();
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with(".js") {
            continue;
        }
        files += 1;
        let source = std::fs::read_to_string(entry.path()).unwrap();
        let lines: Vec<&str> = source.lines().collect();
        let exempt: Vec<(usize, usize)> = BEFORE_SCRIPTS
            .iter()
            .filter(|(file, ..)| *file == name)
            .map(|(_, from, to)| {
                let line_of = |text: &str| {
                    lines
                        .iter()
                        .position(|line| line.contains(text))
                        .unwrap_or_else(|| panic!("{name} has no line with {text}"))
                };
                (line_of(from) + 1, line_of(to) + 1)
            })
            .collect();
        for (line, what) in violations(&source) {
            let text = lines[line - 1].trim();
            if exempt.iter().any(|(from, to)| (*from..=*to).contains(&line)) {
                continue;
            }
            if let Some(entry) = ALLOWED.iter().find(|(file, allowed)| *file == name && *allowed == text) {
                unused.remove(entry);
                continue;
            }
            wrong.push(format!("js-shims/{name}:{line}: {what}\n    {text}"));
        }
    }
    assert!(files > 20, "only {files} shims were found");
    assert!(wrong.is_empty(), "use primordials, or add the line to ALLOWED with a reason:\n{}", wrong.join("\n"));
    assert!(unused.is_empty(), "ALLOWED names lines that are not there: {unused:?}");
}
