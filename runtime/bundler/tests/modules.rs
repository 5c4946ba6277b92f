//! Text, data and wasm modules, and modules that are not bundled.

mod fixture;

use fixture::{Fixture, main_text, of_kind, text};
use holm_config::bundle::ModuleKind;

const WASM: &[u8] = b"\0asm\x01\0\0\0";

const IMPORTS: &str = "import add from './lib/add.wasm';\n\
 import mul from './lib/add.wasm?module';\n\
 import page from './page.html';\n\
                       import sql from './schema.sql';\nimport bytes from './data.bin';\n\
                       export default { fetch: () => new Response([add, mul, page, sql, bytes]) };";

fn files() -> Vec<(&'static str, &'static str)> {
    vec![
        ("src/index.ts", IMPORTS),
        ("src/page.html", "<p>"),
        ("src/schema.sql", "select 1"),
        ("src/data.bin", "\x01\x02"),
    ]
}

#[tokio::test]
async fn files_of_the_default_rules_become_modules_named_by_their_content() {
    let fixture = Fixture::new(&files());
    fixture.write("src/lib/add.wasm", WASM);
    let bundled = fixture.bundle().await;

    let wasm = of_kind(&bundled, ModuleKind::CompiledWasm);
    assert_eq!(wasm.len(), 1, "one file is one module");
    assert_eq!(&*wasm[0].source, WASM);
    // The number is the SHA-1 of the bytes.
    assert_eq!(wasm[0].specifier, "c6006650182737e2b09bada7fc0774812b802917-add.wasm");
    assert_eq!(of_kind(&bundled, ModuleKind::Text).len(), 2);
    assert_eq!(text(of_kind(&bundled, ModuleKind::Data)[0]), "\x01\x02");
    for module in bundled.bundle.modules.iter().filter(|module| module.kind != ModuleKind::EsModule) {
        let import = format!("from \"./{}\"", module.specifier);
        assert!(main_text(&bundled).contains(&import), "no {import} in {}", main_text(&bundled));
    }
}

#[tokio::test]
async fn names_of_files_can_be_preserved() {
    let fixture = Fixture::with_settings(r#""preserve_file_names": true"#, &files());
    fixture.write("src/lib/add.wasm", WASM);
    let bundled = fixture.bundle().await;
    let names: Vec<_> = bundled.bundle.modules.iter().map(|module| module.specifier.as_str()).collect();
    assert_eq!(names, ["index.js", "data.bin", "lib/add.wasm", "page.html", "schema.sql"]);
    assert!(main_text(&bundled).contains("from \"./lib/add.wasm\""), "{}", main_text(&bundled));
}

#[tokio::test]
async fn rules_of_the_project_add_to_the_default_ones() {
    let fixture = Fixture::with_settings(
        r#""rules": [{ "type": "Text", "globs": ["**/*.md"], "fallthrough": true }]"#,
        &[
            (
                "src/index.ts",
                "import readme from './readme.md';\n\
                 import note from './note.txt';\n\
                 export default { fetch: () => new Response(readme + note) };",
            ),
            ("src/readme.md", "# hi"),
            ("src/note.txt", "note"),
        ],
    );
    assert_eq!(of_kind(&fixture.bundle().await, ModuleKind::Text).len(), 2);
}

#[tokio::test]
async fn a_rule_out_of_force_is_explained() {
    let fixture = Fixture::with_settings(
        r#""rules": [{ "type": "Text", "globs": ["**/*.md"], "fallthrough": false }]"#,
        &[
            ("src/index.ts", "\nimport note from './note.txt';\nexport default { fetch: () => new Response(note) };"),
            ("src/note.txt", "note"),
        ],
    );
    let error = fixture.error().await;
    let message = &error.messages[0];
    assert!(message.message.contains("not in force"), "{error}");
    assert!(message.help.as_deref().is_some_and(|help| help.contains("fallthrough")), "{error}");
    assert_eq!((message.line, message.column), (Some(2), Some(18)));
}

#[tokio::test]
async fn modules_of_packages_are_found() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import wasm from 'native/core.wasm';\n\
             import { note } from 'native';\n\
             export default { fetch: () => new Response(String(wasm) + note) };",
        ),
        (
            "node_modules/native/package.json",
            r#"{ "name": "native", "exports": { ".": "./index.js", "./core.wasm": "./dist/native.wasm" } }"#,
        ),
        ("node_modules/native/index.js", "import note from './note.txt'; export { note };"),
        ("node_modules/native/note.txt", "from a package"),
    ]);
    fixture.write("node_modules/native/dist/native.wasm", WASM);
    let bundled = fixture.bundle().await;
    assert!(of_kind(&bundled, ModuleKind::CompiledWasm)[0].specifier.ends_with("-native.wasm"));
    assert_eq!(text(of_kind(&bundled, ModuleKind::Text)[0]), "from a package");
}

#[tokio::test]
async fn no_bundle_takes_modules_as_they_are() {
    let fixture = Fixture::with_settings(
        r#""no_bundle": true, "rules": [{ "type": "CommonJS", "globs": ["**/*.cjs"] }]"#,
        &[
            (
                "src/index.js",
                "import { a } from './lib/a.mjs';\n\
                 import old from './old.cjs';\n\
                 import t from './t.txt';\n\
                 export default { fetch: () => new Response(a + old + t) };\n\
                 //# sourceMappingURL=index.js.map\n",
            ),
            ("src/index.js.map", "{\"version\":3}"),
            ("src/lib/a.mjs", "export const a = 1;"),
            ("src/old.cjs", "module.exports = 2;"),
            ("src/t.txt", "text"),
            ("src/ignored.ts", "export {}"),
            ("src/node_modules/x/index.js", "export {}"),
            ("src/.hidden/x.js", "export {}"),
        ],
    );
    let bundled = fixture.bundle().await;
    let modules: Vec<_> =
        bundled.bundle.modules.iter().map(|module| (module.specifier.as_str(), module.kind)).collect();
    assert_eq!(
        modules,
        [
            ("index.js", ModuleKind::EsModule),
            ("lib/a.mjs", ModuleKind::EsModule),
            ("old.cjs", ModuleKind::CommonJs),
            ("t.txt", ModuleKind::Text),
        ]
    );
    assert!(main_text(&bundled).starts_with("import { a } from './lib/a.mjs';"));
    assert_eq!(bundled.bundle.modules[0].source_map.as_deref(), Some("{\"version\":3}"));
    assert!(bundled.inputs.contains(&fixture.path("src/lib/a.mjs")));
}

#[tokio::test]
async fn names_start_at_the_base_directory() {
    let fixture = Fixture::with_settings(
        r#""no_bundle": true, "base_dir": ".""#,
        &[
            ("dist/main.js", "import '../shared/b.js';\nexport default { fetch() {} };"),
            ("shared/b.js", "globalThis.b = 1;"),
        ],
    );
    let bundled = fixture.bundle().await;
    assert_eq!(bundled.bundle.main, "dist/main.js");
    assert!(bundled.bundle.module("shared/b.js").is_some());
}

#[tokio::test]
async fn typescript_needs_the_bundler() {
    let fixture = Fixture::with_settings(r#""no_bundle": true"#, &[("src/index.ts", "export default {}")]);
    let error = fixture.error().await;
    assert!(error.to_string().contains("TypeScript"), "{error}");
    assert!(error.to_string().contains("remove `no_bundle`"), "{error}");
}

#[tokio::test]
async fn additional_modules_stay_beside_the_bundled_code() {
    let fixture = Fixture::with_settings(
        r#""find_additional_modules": true, "rules": [{ "type": "ESModule", "globs": ["lang/*.js"] }]"#,
        &[
            (
                "src/index.ts",
                "import { en } from './pages/home';\nimport { util } from './util.js';\n\
                 export default { async fetch(r: Request) { return new Response(en + util + (await import(`./lang/${r.url}.js`)).default); } };",
            ),
            ("src/pages/home.ts", "export { default as en } from '../lang/en.js';"),
            ("src/lang/en.js", "export default 'english';"),
            ("src/lang/de.js", "export default 'deutsch';"),
            ("src/util.js", "export const util = globalThis.util ?? 'util-code';"),
            ("src/note.txt", "not imported"),
        ],
    );
    let bundled = fixture.bundle().await;
    let names: Vec<_> = bundled.bundle.modules.iter().map(|module| module.specifier.as_str()).collect();
    assert_eq!(names, ["index.js", "lang/de.js", "lang/en.js", "note.txt"]);
    let code = main_text(&bundled);
    assert!(code.contains("from \"./lang/en.js\"") && code.contains("util-code"), "{code}");
    assert!(code.contains("`./lang/${"), "{code}");
}
