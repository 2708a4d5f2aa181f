//! Pages that make promises: each claim on them names its tests, and each named test exists and
//! runs.
//!
//! A claim is a paragraph, a list item or a row of a table below a heading of the second level. It
//! names a test in backticks, in itself or in the block that follows it and begins with a name. A
//! paragraph that ends in a colon leaves it to the list or table behind it.
#![expect(clippy::expect_used, reason = "a test that panics has failed, as it should")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The pages, below the root of the repository. A missing page is skipped.
const PAGES: [&str; 2] = ["docs/guides/delivery.md", "docs/guides/security.md"];

/// Folders without source files of ours.
const FOREIGN: [&str; 3] = ["target", "node_modules", ".git"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

/// Whether a word in backticks is the name of a test. They are sentences; metrics are not.
fn is_test_name(code: &str) -> bool {
    code.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && code.matches('_').count() >= 4
        && !code.starts_with("pattoo_wasm_")
}

fn test_names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|code| is_test_name(code))
}

/// The paragraphs, list items and rows below headings of the second level.
fn blocks(page: &str) -> Vec<String> {
    let (mut blocks, mut below, mut open, mut code) = (Vec::<String>::new(), false, false, false);
    for line in page.lines() {
        if line.starts_with("```") {
            (code, open) = (!code, false);
        } else if line.starts_with('#') {
            (below, open) = (line.starts_with("## ") || (below && line.starts_with("###")), false);
        } else if line.trim().is_empty() {
            open = false;
        } else if below && !code {
            let begins = !open || line.starts_with("- ") || line.starts_with('|');
            match blocks.last_mut() {
                Some(block) if !begins => {
                    block.push(' ');
                    block.push_str(line.trim());
                }
                _ => blocks.push(line.trim().to_owned()),
            }
            open = true;
        }
    }
    // The head of a table is the row before its separator.
    let rulers: Vec<usize> =
        (0..blocks.len()).filter(|at| blocks.get(*at).is_some_and(|row| row.starts_with("|-"))).collect();
    for ruler in rulers.into_iter().rev() {
        blocks.remove(ruler);
        if let Some(head) = ruler.checked_sub(1) {
            blocks.remove(head);
        }
    }
    blocks
}

/// The claims of a page that name no test.
fn unproved(page: &str) -> Vec<String> {
    let blocks = blocks(page);
    let names = |block: &String| test_names(block).next().is_some();
    let begins_with_name = |block: &String| {
        block
            .trim_start_matches("- ")
            .strip_prefix('`')
            .is_some_and(|rest| rest.split('`').next().is_some_and(is_test_name))
    };
    let proved = |(at, block): (usize, &String)| {
        let next = at.checked_add(1).and_then(|next| blocks.get(next));
        let led = next.is_some_and(|next| next.starts_with("- ") || next.starts_with('|'));
        names(block) || (block.ends_with(':') && led) || next.is_some_and(begins_with_name)
    };
    blocks.iter().enumerate().filter(|claim| !proved(*claim)).map(|(_, block)| block.clone()).collect()
}

/// Every source file of ours.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let foreign = path.file_name().is_some_and(|name| FOREIGN.iter().any(|foreign| name == *foreign));
        if path.is_dir() && !foreign {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The number of tests of each name, without ignored ones.
fn tests() -> BTreeMap<String, usize> {
    let mut files = Vec::new();
    sources(root(), &mut files);
    let mut tests = BTreeMap::new();
    for file in files {
        let (mut test, mut ignored) = (false, false);
        for line in fs::read_to_string(&file).expect("a source file").lines().map(str::trim) {
            if line.starts_with("#[") {
                test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                ignored |= line.starts_with("#[ignore");
            } else if !line.starts_with("//") {
                let name = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).map(|(name, _)| name);
                if let Some(name) = name.filter(|_| test && !ignored) {
                    let count: &mut usize = tests.entry(name.to_owned()).or_default();
                    *count = count.saturating_add(1);
                }
                (test, ignored) = (false, false);
            }
        }
    }
    tests
}

#[test]
fn each_promise_in_the_docs_names_an_existing_test_that_runs() {
    let tests = tests();
    for page in PAGES {
        let Ok(text) = fs::read_to_string(root().join(page)) else { continue };
        let unproved = unproved(&text);
        assert!(unproved.is_empty(), "{page} claims without a test: {unproved:#?}");
        let wrong: Vec<&str> = test_names(&text).filter(|name| tests.get(*name) != Some(&1)).collect();
        assert!(wrong.is_empty(), "{page} names tests that do not exist, are ignored, or share their name: {wrong:#?}");
        assert!(test_names(&text).count() > 10, "{page} makes hardly any promise");
    }
}

#[test]
fn promise_without_a_test_is_found() {
    let name = "`promise_without_a_test_is_found`";
    let page = format!(
        "# Page\n\nNo claim yet.\n\n## Part\n\nProved in\nitself: {name}.\n\nProved behind it.\n\n- {name}\n\n\
         Led:\n\n- Item {name}\n- Bare item\n\n| head | test |\n|---|---|\n| row | {name} |\n| bare row | |\n\nBare `pattoo_wasm_spool_dropped_total_x`.\n\n```\ncode\n```\n"
    );
    assert_eq!(unproved(&page), ["- Bare item", "| bare row | |", "Bare `pattoo_wasm_spool_dropped_total_x`."]);
    assert_eq!(tests().get("thousand_collectors_neither_drift_nor_grow_in_memory"), None, "it is ignored");
}
