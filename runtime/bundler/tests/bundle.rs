//! What becomes of source code: TypeScript, JSX, packages, settings of the project.

mod fixture;

use fixture::{Fixture, main_text, of_kind, text};
use holm_bundler::Mode;
use holm_config::bundle::ModuleKind;

const HELLO: &str = "export default { fetch() { return new Response(\"hello\"); } };";

#[tokio::test]
async fn typescript_becomes_one_javascript_module() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import { greet } from './greet';\nimport type { Env } from './env';\n\
             export default { fetch(_request: Request, env: Env): Response { return new Response(greet(env.NAME)); } };",
        ),
        (
            "src/greet.ts",
            "export enum Tone { Calm, Loud }\n\
             export const greet = (name: string): string => `hi ${name} ${Tone.Loud}`;",
        ),
        ("src/env.ts", "export interface Env { NAME: string }"),
    ]);
    let bundled = fixture.bundle().await;
    assert_eq!(bundled.bundle.main, "index.js");
    assert_eq!(bundled.bundle.modules.len(), 1);
    let code = main_text(&bundled);
    assert!(code.contains("hi ${name}"), "{code}");
    assert!(!code.contains("interface") && !code.contains(": string") && !code.contains("import"), "{code}");
    assert!(code.contains("export"), "{code}");
    assert!(bundled.warnings.is_empty(), "{:?}", bundled.warnings);
}

#[tokio::test]
async fn the_source_map_is_kept_apart_and_has_the_sources() {
    let fixture = Fixture::new(&[("src/index.ts", HELLO)]);
    let bundled = fixture.bundle().await;
    let main = bundled.bundle.module("index.js").expect("main");
    assert!(!text(main).contains("sourceMappingURL"));
    let map: serde_json::Value = serde_json::from_str(main.source_map.as_deref().expect("a map")).expect("JSON");
    assert_eq!(map["sources"][0], "src/index.ts");
    assert_eq!(map["sourcesContent"][0], HELLO);
}

#[tokio::test]
async fn every_file_that_was_read_is_an_input() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import text from './a.txt';\n\
             import { b } from './b';\n\
             export default { fetch: () => new Response(text + b) };",
        ),
        ("src/a.txt", "a"),
        ("src/b.js", "export const b = 1;"),
        ("tsconfig.json", "{}"),
    ]);
    let bundled = fixture.bundle().await;
    for name in ["src/index.ts", "src/a.txt", "src/b.js", "tsconfig.json"] {
        assert!(bundled.inputs.contains(&fixture.path(name)), "{name} is not in {:?}", bundled.inputs);
    }
}

#[tokio::test]
async fn jsx_calls_react_create_element_unless_told_otherwise() {
    let source = "const React = { createElement: (...a: unknown[]) => a, Fragment: 0 };\n\
                  export default { fetch: () => new Response(String(<><b id=\"x\">hi</b></>)) };";
    let bundled = Fixture::new(&[("src/index.tsx", source)]).bundle().await;
    assert!(main_text(&bundled).contains("React.createElement(React.Fragment"), "{}", main_text(&bundled));

    let settings = r#""jsx_factory": "h", "jsx_fragment": "Part""#;
    let source = source.replace(
        "const React = { createElement: (...a: unknown[]) => a, Fragment: 0 };",
        "const h = (...a: unknown[]) => a, Part = 0;",
    );
    let bundled = Fixture::with_settings(settings, &[("src/index.tsx", &source)]).bundle().await;
    let code = main_text(&bundled);
    assert!(code.contains("h(") && !code.contains("React"), "{code}");
}

#[tokio::test]
async fn the_tsconfig_chooses_the_jsx_runtime() {
    let fixture = Fixture::new(&[
        ("src/index.tsx", "export default { fetch: () => new Response(String(<b>hi</b>)) };"),
        ("tsconfig.json", r#"{ "compilerOptions": { "jsx": "react-jsx", "jsxImportSource": "view" } }"#),
        ("node_modules/view/package.json", r#"{ "name": "view", "exports": { "./jsx-runtime": "./runtime.js" } }"#),
        (
            "node_modules/view/runtime.js",
            "export const jsx = (tag) => 'view:' + tag; export const jsxs = jsx; export const Fragment = '';",
        ),
    ]);
    let code = fixture.bundle().await;
    assert!(main_text(&code).contains("view:"), "{}", main_text(&code));
    assert!(!main_text(&code).contains("React"), "{}", main_text(&code));
}

#[tokio::test]
async fn jsx_is_allowed_in_javascript_files_of_the_project() {
    let fixture = Fixture::new(&[(
        "src/index.js",
        "const React = { createElement() {} };\nexport default { fetch: () => new Response(<b/>) };",
    )]);
    assert!(main_text(&fixture.bundle().await).contains("React.createElement(\"b\""));
}

#[tokio::test]
async fn paths_of_the_tsconfig_are_followed() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import { answer } from '@/lib/answer';\nexport default { fetch: () => new Response(`${answer}`) };",
        ),
        ("src/lib/answer.ts", "export const answer = globalThis.answer ?? 'forty-two';"),
        ("tsconfig.json", "{ /* comments are fine */ \"compilerOptions\": { \"paths\": { \"@/*\": [\"./src/*\"] } } }"),
    ]);
    assert!(main_text(&fixture.bundle().await).contains("forty-two"));
}

#[tokio::test]
async fn a_configured_tsconfig_is_used() {
    let fixture = Fixture::with_settings(
        r#""tsconfig": "config/worker.json""#,
        &[
            (
                "src/index.ts",
                "import { answer } from 'lib:answer';\nexport default { fetch: () => new Response(`${answer}`) };",
            ),
            ("src/lib/answer.ts", "export const answer = globalThis.answer ?? 'forty-two';"),
            (
                "config/worker.json",
                r#"{ "compilerOptions": { "paths": { "lib:*": ["../src/lib/*"] } }, "include": ["../src"] }"#,
            ),
        ],
    );
    assert!(main_text(&fixture.bundle().await).contains("forty-two"));
}

#[tokio::test]
async fn packages_are_bundled_whether_esm_or_commonjs() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import { modern } from 'modern';\n\
             import classic, { named } from 'classic';\n\
             import deep from '@scope/deep/part';\n\
             export default { fetch: () => new Response(modern() + classic() + named + deep) };",
        ),
        ("node_modules/modern/package.json", r#"{ "name": "modern", "type": "module", "exports": "./index.js" }"#),
        (
            "node_modules/modern/index.js",
            "export const modern = () => 'modern-code'; export const unused = () => 'dead-code';",
        ),
        ("node_modules/classic/package.json", r#"{ "name": "classic", "main": "lib" }"#),
        (
            "node_modules/classic/lib/index.js",
            "const part = require('./part'); module.exports = () => part.text; module.exports.named = process.env.NODE_ENV === 'production' ? 'prod-code' : 'dev-code';",
        ),
        ("node_modules/classic/lib/part.js", "exports.text = 'classic-code';"),
        ("node_modules/@scope/deep/package.json", r#"{ "name": "@scope/deep", "exports": { "./*": "./src/*.mjs" } }"#),
        ("node_modules/@scope/deep/src/part.mjs", "export default 'deep-code';"),
    ]);
    let bundled = fixture.bundle().await;
    assert_eq!(bundled.bundle.modules.len(), 1);
    let code = main_text(&bundled);
    for expected in ["modern-code", "classic-code", "deep-code", "prod-code"] {
        assert!(code.contains(expected), "no {expected} in {code}");
    }
    assert!(!code.contains("dead-code") && !code.contains("dev-code"), "{code}");
}

#[tokio::test]
async fn the_conditions_of_workers_choose_among_exports() {
    let package = |condition: &str| {
        format!(
            r#"{{ "name": "x", "exports": {{ ".": {{ "node": "./node.js", "{condition}": "./worker.js", "default": "./default.js" }} }} }}"#
        )
    };
    for condition in ["workerd", "worker", "browser", "import"] {
        let fixture = Fixture::new(&[
            ("src/index.ts", "import x from 'x';\nexport default { fetch: () => new Response(x) };"),
            ("node_modules/x/package.json", &package(condition)),
            ("node_modules/x/worker.js", "export default 'for-workers';"),
            ("node_modules/x/node.js", "export default 'for-node';"),
            ("node_modules/x/default.js", "export default 'for-all';"),
        ]);
        let bundled = fixture.bundle().await;
        assert!(main_text(&bundled).contains("for-workers"), "{condition}: {}", main_text(&bundled));
    }
}

#[tokio::test]
async fn browser_and_module_fields_come_before_main() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import a from 'a';\nimport b from 'b';\nexport default { fetch: () => new Response(a + b) };",
        ),
        (
            "node_modules/a/package.json",
            r#"{ "name": "a", "main": "./main.js", "module": "./module.js", "browser": "./browser.js" }"#,
        ),
        ("node_modules/a/browser.js", "export default 'a-browser';"),
        ("node_modules/a/module.js", "export default 'a-module';"),
        ("node_modules/a/main.js", "module.exports = 'a-main';"),
        (
            "node_modules/b/package.json",
            r#"{ "name": "b", "module": "./module.js", "browser": { "fs": false, "./node.js": "./web.js" } }"#,
        ),
        (
            "node_modules/b/module.js",
            "import fs from 'fs'; import kind from './node.js'; export default 'b-' + kind + typeof fs;",
        ),
        ("node_modules/b/node.js", "export default 'node';"),
        ("node_modules/b/web.js", "export default 'web';"),
    ]);
    let bundled = fixture.bundle().await;
    let code = main_text(&bundled);
    assert!(code.contains("a-browser") && code.contains("web") && !code.contains("\"node\""), "{code}");
}

#[tokio::test]
async fn node_env_follows_the_mode() {
    let fixture =
        Fixture::new(&[("src/index.ts", "export default { fetch: () => new Response(process.env.NODE_ENV) };")]);
    assert!(main_text(&fixture.bundle().await).contains("\"production\""));
    assert!(main_text(&fixture.bundle_for(Mode::Development).await).contains("\"development\""));
}

#[tokio::test]
async fn define_replaces_expressions() {
    let fixture = Fixture::with_settings(
        r#""define": { "VERSION": "'1.2.3'", "build.flags.fast": "true" }"#,
        &[(
            "src/index.ts",
            "declare const VERSION: string, build: any;\n\
             export default { fetch: () => new Response(VERSION + build.flags.fast) };",
        )],
    );
    let bundled = fixture.bundle().await;
    let code = main_text(&bundled);
    assert!(code.contains("1.2.3") && !code.contains("VERSION") && !code.contains("build.flags"), "{code}");
}

#[tokio::test]
async fn an_alias_replaces_a_module_wherever_it_is_imported() {
    let fixture = Fixture::with_settings(
        r#""alias": { "fs": "./src/fs.ts", "old": "new", "runtime": "cloudflare:workers" }"#,
        &[
            (
                "src/deep/index.ts",
                "import fs from 'fs';\n\
                 import old from 'old';\n\
                 import { env } from 'runtime';\n\
                 export default { fetch: () => new Response(fs + old + env.X) };",
            ),
            ("src/fs.ts", "export default 'my-fs';"),
            ("node_modules/new/package.json", r#"{ "name": "new", "main": "index.js" }"#),
            ("node_modules/new/index.js", "export default 'new-code';"),
        ],
    );
    let bundled = fixture.bundle().await;
    let code = main_text(&bundled);
    assert!(code.contains("my-fs") && code.contains("new-code"), "{code}");
    assert!(code.contains("from \"cloudflare:workers\""), "{code}");
}

#[tokio::test]
async fn modules_of_the_runtime_stay_imports() {
    let source = "import { WorkerEntrypoint } from 'cloudflare:workers';\n\
                  export class Api extends WorkerEntrypoint {}\nexport default { fetch: () => new Response('') };";
    let bundled = Fixture::new(&[("src/index.ts", source)]).bundle().await;
    let code = main_text(&bundled);
    assert!(code.contains("from \"cloudflare:workers\"") && code.contains("Api"), "{code}");
}

#[tokio::test]
async fn modules_of_node_stay_imports_under_their_flag() {
    let source = "import { Buffer } from 'node:buffer';\nimport { join } from 'path';\nimport shout from 'loud';\n\
                  export default { fetch: () => new Response(join(shout, Buffer.from('x').toString())) };";
    let files = [
        ("src/index.ts", source),
        ("node_modules/loud/package.json", r#"{ "name": "loud", "main": "index.js" }"#),
        ("node_modules/loud/index.js", "const util = require('util');\nmodule.exports = util.format('%s!', 'x');"),
        ("node_modules/path/package.json", r#"{ "name": "path", "main": "index.js" }"#),
        ("node_modules/path/index.js", "module.exports = 'a package of the same name';"),
    ];
    let bundled = Fixture::with_settings(r#""compatibility_flags": ["nodejs_compat"]"#, &files).bundle().await;
    let code = main_text(&bundled);
    for name in ["buffer", "path", "util"] {
        assert!(code.contains(&format!("from \"node:{name}\"")), "{name}: {code}");
    }
    assert!(!code.contains("require(") && !code.contains("a package of the same name"), "{code}");
}

#[tokio::test]
async fn a_module_of_node_without_its_flag_is_explained() {
    let fixture = Fixture::new(&[("src/index.ts", "import 'node:buffer';\nexport default { fetch() {} };")]);
    let error = fixture.error().await.to_string();
    assert!(error.contains("the compatibility flag `nodejs_compat` is off") && error.contains("2026-08-04"), "{error}");
    let fixture = Fixture::with_settings(
        r#""compatibility_flags": ["nodejs_compat"]"#,
        &[("src/index.ts", "import 'node:bufer';\nexport default { fetch() {} };")],
    );
    let error = fixture.error().await.to_string();
    assert!(error.contains("Node.js has no built-in module `node:bufer`"), "{error}");
}

#[tokio::test]
async fn minify_makes_it_smaller() {
    let source = "export default { async fetch(request: Request) {\n\
       const longVariableName = await request.text();\n\
       return new Response(longVariableName + longVariableName);\n\
     } };";
    let plain = Fixture::new(&[("src/index.ts", source)]).bundle().await;
    let small = Fixture::with_settings(r#""minify": true"#, &[("src/index.ts", source)]).bundle().await;
    assert!(main_text(&plain).contains("longVariableName"));
    assert!(!main_text(&small).contains("longVariableName"), "{}", main_text(&small));
    assert!(main_text(&small).len() < main_text(&plain).len());
}

#[tokio::test]
async fn a_dynamic_import_becomes_a_chunk_beside_the_main_module() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import { shared } from './shared';\n\
             export default { async fetch() { const page = await import('./pages/heavy'); return new Response(page.render() + shared); } };",
        ),
        (
            "src/pages/heavy.ts",
            "import { shared } from '../shared';\nexport const render = () => 'heavy-code' + shared;",
        ),
        ("src/shared.ts", "export const shared = globalThis.shared ?? 'shared-code';"),
    ]);
    let bundled = fixture.bundle().await;
    let main = main_text(&bundled);
    assert_eq!(bundled.bundle.modules[0].specifier, "index.js");
    assert!(!main.contains("heavy-code"), "{main}");
    let chunk = bundled.bundle.modules.iter().find(|module| text(module).contains("heavy-code")).expect("a chunk");
    assert!(chunk.specifier.ends_with(".js") && !chunk.specifier.contains('/'), "{}", chunk.specifier);
    assert!(main.contains(&format!("import(\"./{}\")", chunk.specifier)), "{main}");
    assert_eq!(of_kind(&bundled, ModuleKind::EsModule).len(), bundled.bundle.modules.len());
}

#[tokio::test]
async fn the_exports_of_the_entry_module_are_those_of_the_bundle() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "export { Counter } from './counter';\n\
             export default { async fetch() { return new Response((await import('./lazy')).lazy); } };",
        ),
        ("src/counter.ts", "export class Counter { value = helper(); }\nexport function helper() { return 'helped'; }"),
        ("src/lazy.ts", "import { helper } from './counter';\nexport const lazy = helper();"),
    ]);
    let bundled = fixture.bundle().await;
    let code = main_text(&bundled);
    let exports = code.rsplit_once("export {").map(|(_, exports)| exports).expect("exports");
    assert!(exports.contains("Counter") && exports.contains("default") && !exports.contains("helper"), "{code}");
}

#[tokio::test]
async fn json_is_part_of_the_code() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import data from './data.json' with { type: 'json' };\n\
             export default { fetch: () => Response.json(data.list) };",
        ),
        ("src/data.json", r#"{ "list": ["json-value"] }"#),
    ]);
    let bundled = fixture.bundle().await;
    assert_eq!(bundled.bundle.modules.len(), 1);
    assert!(main_text(&bundled).contains("json-value"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_on_a_multi_threaded_runtime() {
    let bundled = Fixture::new(&[("src/index.ts", HELLO)]).bundle().await;
    assert!(main_text(&bundled).contains("hello"));
}

#[tokio::test]
async fn a_script_without_exports_that_listens_is_a_service_worker() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import { hi } from './hi';\naddEventListener('fetch', (event: any) => event.respondWith(new Response(hi)));",
        ),
        ("src/hi.ts", "export const hi: string = 'hi';"),
    ]);
    let bundled = fixture.bundle().await;
    let [module] = &bundled.bundle.modules[..] else { panic!("{:?}", bundled.bundle) };
    assert_eq!((module.kind, bundled.bundle.main.as_str()), (ModuleKind::ServiceWorker, "index.js"));
    let code = String::from_utf8(module.source.to_vec()).unwrap();
    assert!(code.starts_with("(() => {") && code.ends_with("})();\n"), "{code}");
    assert!(!code.contains("export") && !code.contains("import"), "{code}");
}
