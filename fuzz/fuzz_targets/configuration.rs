//! The three configuration files: whatever stands in them, they come to a configuration or to problems with a place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pattoo_wasm::fuzzing::configuration;

/// What stands between two files of one input.
const CUT: &str = "\n%%\n";

fuzz_target!(|text: &str| {
    let mut files = text.split(CUT);
    let mut next = || files.next().unwrap_or_default();
    match configuration(next(), next(), next()) {
        // What it comes to is a configuration itself.
        Ok(effective) => assert!(!effective.is_empty()),
        Err(error) => {
            assert!(!error.problems().is_empty());
            for problem in error.problems() {
                assert!(!problem.to_string().contains('\n'), "{problem}");
                if let Some(place) = &problem.place {
                    let (line, column) = place.line_and_column();
                    assert!(line > 0 && column > 0);
                    assert!(place.file.text.get(place.span.clone()).is_some(), "{:?} is no place", place.span);
                }
            }
        }
    }
});
