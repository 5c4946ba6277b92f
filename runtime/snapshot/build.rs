//! Makes the V8 start-up snapshot from `runtime/apis` and `js-shims`.

use std::path::PathBuf;

use deno_core::snapshot::CreateSnapshotOptions;

fn main() {
    println!("cargo:rerun-if-changed=../../js-shims");
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let snapshot = deno_core::snapshot::create_snapshot(
        CreateSnapshotOptions {
            cargo_manifest_dir: env!("CARGO_MANIFEST_DIR"),
            startup_snapshot: None,
            skip_op_registration: false,
            extensions: holm_apis::extensions_for_snapshot(),
            extension_transpiler: None,
            with_runtime_cb: Some(Box::new(|runtime| {
                // The path of a request is run a few times, so that isolates find it compiled.
                runtime.execute_script("warm.js", "__holm.warm()").expect("the shims run");
            })),
        },
        None,
    )
    .expect("the snapshot is made");
    std::fs::write(out.join("SNAPSHOT.bin"), &snapshot.output).expect("the snapshot is written");
    println!("cargo:rustc-env=HOLM_SNAPSHOT_BYTES={}", snapshot.output.len());
}
