//! The test vectors for the decoders of every language.

use std::{path::Path, process::Command};

use pattoo_tests::python;

#[test]
fn decode_vectors_match_the_struct_module_of_python() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/vectors");
    let output = Command::new(python()).arg(folder.join("decode.py")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let committed = std::fs::read(folder.join("decode.json")).unwrap();
    assert!(output.stdout == committed, "decode.json is not what decode.py prints");
}
