use std::{path::PathBuf, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Document, Node};
use crate::{Place, Problem, SourceFile};

fn file(text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile { path: PathBuf::from("t.yaml"), text: text.to_owned() })
}

fn json(text: &str) -> Json {
    Document::parse(&file(text)).unwrap().root.to_json().unwrap()
}

fn refusal(text: &str) -> String {
    Problem::from(Document::parse(&file(text)).unwrap_err()).to_string()
}

/// Every scalar below a node, with the text that its place shows.
fn shown(text: &str, node: &Node, found: &mut Vec<(String, String)>) {
    for entry in node.map().unwrap_or_default() {
        found.push((entry.key.clone(), text.get(entry.key_span.clone()).unwrap().to_owned()));
        shown(text, &entry.node, found);
    }
    for node in node.list().unwrap_or_default() {
        shown(text, node, found);
    }
    if let Some(value) = node.text() {
        found.push((value.to_owned(), text.get(node.span.clone()).unwrap().to_owned()));
    }
}

#[test]
fn every_scalar_knows_its_place_whatever_stands_before_it() {
    for text in [
        "a: 1\nb: [x, yy]\nc:\n  d: zzz # comment\n",
        "ä: ö\r\nü: [ß, 'quoted', \"😀\"]\r\nlast: end",
        "\u{feff}a: b\nc: d\n",
        "# über\n---\n- one\n- two: 2\n  three: 3\n...\n",
    ] {
        let mut found = Vec::new();
        shown(text, &Document::parse(&file(text)).unwrap().root, &mut found);
        assert!(found.len() >= 4, "{text:?}");
        for (value, place) in found {
            assert_eq!(place.trim_matches(['\'', '"']), value, "{text:?}");
        }
    }
}

#[test]
fn merged_keys_stand_behind_those_that_are_written() {
    let text = "base: &b { x: 1, y: 2 }\nuse: { y: 3, <<: *b }\nboth: { <<: [{ x: 7 }, *b] }\n";
    assert_eq!(json(text)["use"], json!({"y": 3, "x": 1}));
    assert_eq!(json(text)["both"], json!({"x": 7, "y": 2}));
}

#[test]
fn a_key_that_is_given_twice_is_a_problem_with_both_places() {
    let document = Document::parse(&file("a: 1\nb: 2\na: 3\n")).unwrap();
    let problem = document.duplicates.first().unwrap();
    assert_eq!(problem.to_string(), "t.yaml:3:1: `a` is given twice");
    assert!(problem.help.contains("line 1"), "{}", problem.help);
    assert_eq!(document.root.to_json().unwrap(), json!({"a": 3, "b": 2}));
}

#[test]
fn what_is_no_single_document_of_yaml_is_refused_with_its_place() {
    for (text, words) in [
        ("a: [1", "t.yaml:"),
        ("a: b: c\n", "t.yaml:1:"),
        ("a: 1\n---\nb: 2\n", "t.yaml:3:1: a second document"),
        ("a: *nobody\n", "t.yaml:1:4: "),
        ("[a, b]: 1\n", "t.yaml:1:1: invalid key: expected a name, found a list"),
        (": 1\n", "invalid key: expected a name, found nothing"),
        ("a: !secret x\n", "unsupported tag `!secret`"),
        ("<<: 3\n", "invalid `<<`: expected a map"),
    ] {
        assert!(refusal(text).contains(words), "{text:?}: {}", refusal(text));
    }
}

#[test]
fn depth_and_aliases_have_an_end() {
    assert!(refusal(&"[".repeat(5000)).starts_with("t.yaml:1:"));
    assert!(refusal(&"- ".repeat(5000)).starts_with("t.yaml:1:"));
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        laughs = format!("{laughs}a{level}: &a{level} [{below}]\n");
    }
    assert!(refusal(&laughs).contains("more than"), "{}", refusal(&laughs));
}

#[test]
fn bytes_that_aliases_repeat_are_counted_before_they_are_copied() {
    // A text of 1 MB, repeated 3000 times; once within lists that are repeated themselves, once as keys, once through `<<`.
    let text = "x".repeat(1 << 20);
    let repeated = "*a, ".repeat(3000);
    for laughs in [
        format!("a: &a {text}\nb: [{repeated}]\n"),
        format!("a: &a [{text}]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n"),
        format!("a: &a {{ {text}: 1 }}\nb: [{repeated}]\n"),
        format!("a: &a {{ k: {text} }}\nb: [{}]\n", "{<<: *a}, ".repeat(3000)),
        // Each anchor within an anchor is a copy beside the tree.
        format!("a: {}{text}{}\n", (0..20).fold(String::new(), |all, at| format!("{all}&a{at} [")), "]".repeat(20)),
    ] {
        let refusal = refusal(&laughs);
        assert!(refusal.starts_with("t.yaml:") && refusal.contains("more than 16777216 bytes of text"), "{refusal}");
    }
    assert!(json(&format!("a: &a {text}\nb: [*a, *a, *a]\n"))["b"][2].is_string());
}

#[test]
fn a_tag_says_what_a_value_is_anyway_or_is_refused() {
    let text = "a: !!str 5\nb: !!int 5\nc: !!float 5\nd: !!bool true\ne: !!null ''\nf: !!seq [1]\ng: !!map {h: 1}\ni: !!int '7'\n";
    let expected = json!({"a": "5", "b": 5, "c": 5, "d": true, "e": null, "f": [1], "g": {"h": 1}, "i": 7});
    assert_eq!(json(text), expected);
    for (text, words) in [
        ("a: !!binary aGVsbG8=\n", "t.yaml:1:"),
        ("a: !!binary aGVsbG8=\n", "unsupported tag `!!binary`"),
        ("a: !!binary |\n  aGVs\n  bG8=\n", "unsupported tag `!!binary`"),
        ("!!binary aGk=: 1\n", "unsupported tag `!!binary`"),
        ("a: !<tag:yaml.org,2002:binary> aGk=\n", "unsupported tag"),
        ("a: !!int five\n", "does not match its tag `!!int`"),
        ("a: !!int 5.5\n", "does not match its tag `!!int`"),
        ("a: !!bool yes\n", "does not match its tag `!!bool`"),
        ("a: !!null x\n", "does not match its tag `!!null`"),
        ("a: !!seq {b: 1}\n", "does not match its tag `!!seq`"),
        ("a: !!map [1]\n", "does not match its tag `!!map`"),
        ("a: !!str [1]\n", "does not match its tag `!!str`"),
        ("a: !!set {b, c}\n", "unsupported tag `!!set`"),
        ("a: !!timestamp 2001-01-01\n", "unsupported tag `!!timestamp`"),
        ("a: !secret x\n", "unsupported tag `!secret`"),
        ("a: !secret [x]\n", "unsupported tag `!secret`"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(words), "{text:?}: {refusal}");
    }
}

/// What `serde_yaml` makes of a text, unless JSON cannot hold it.
fn by_serde(text: &str) -> Option<Json> {
    serde_yaml::from_str::<serde_yaml::Value>(text).ok()?;
    serde_yaml::from_str::<Json>(text).ok()
}

#[test]
fn scalars_mean_what_they_mean_in_a_settings_file() {
    for scalar in [
        "~",
        "null",
        "Null",
        "nul",
        "true",
        "True",
        "TRUE",
        "yes",
        "no",
        "on",
        "off",
        "False",
        "0",
        "-0",
        "+1",
        "007",
        "0x1F",
        "-0x1F",
        "0o17",
        "0b101",
        "0xg",
        "18446744073709551615",
        "-9223372036854775808",
        "1.5",
        ".5",
        "5.",
        "-.5",
        "1e3",
        "1E-3",
        "1.e2",
        "e3",
        ".",
        "-",
        "+",
        "1_000",
        "12:30:45",
        "2001-01-01",
        "0.1",
        "00.5",
        "1e",
        "..5",
        "\"5\"",
        "'true'",
        "0x",
        "- 5",
        "9f86d081884c7d65",
        "1.0",
        "-1.25e+10",
    ] {
        let text = format!("v: {scalar}\n");
        if let Some(expected) = by_serde(&text) {
            assert_eq!(json(&text), expected, "{scalar}");
        }
    }
    for scalar in ["18446744073709551616", "-9223372036854775809", ".inf", "-.Inf", ".nan", "1e999"] {
        assert!(Document::parse(&file(&format!("v: {scalar}\n"))).unwrap().root.to_json().is_err(), "{scalar}");
    }
}

proptest! {
    #[test]
    fn plain_scalars_mean_the_same_as_to_serde(scalar in "[-+0-9.eExob_a-fA-F~]{1,12}") {
        let text = format!("v: {scalar}\n");
        if let (Ok(document), Some(expected)) = (Document::parse(&file(&text)), by_serde(&text))
            && let Ok(ours) = document.root.to_json()
        {
            prop_assert_eq!(ours, expected);
        }
    }

    #[test]
    fn arbitrary_text_is_a_tree_or_an_error_within_it(text in "(?s)[-a-c0-2:#\\[\\]{}&*!|>'\"%@`, \\n\\r\\t~?<\u{feff}\u{85}ä.]{0,60}") {
        check_places(&text)?;
    }

    #[test]
    fn any_characters_are_a_tree_or_an_error_within_them(text in any::<String>()) {
        check_places(&text)?;
    }
}

/// That all places of what is made of a text are in it.
fn check_places(text: &str) -> Result<(), TestCaseError> {
    fn spans(node: &Node, found: &mut Vec<std::ops::Range<usize>>) {
        found.push(node.span.clone());
        for entry in node.map().unwrap_or_default() {
            found.push(entry.key_span.clone());
            spans(&entry.node, found);
        }
        node.list().unwrap_or_default().iter().for_each(|node| spans(node, found));
    }
    let file = file(text);
    let mut found = Vec::new();
    match Document::parse(&file) {
        Ok(document) => spans(&document.root, &mut found),
        Err(refusal) => found.extend(Problem::from(refusal).place.map(|place| place.span)),
    }
    prop_assert!(!found.is_empty());
    for span in found {
        prop_assert!(text.get(span.clone()).is_some(), "{span:?}");
        let (line, column) = Place { file: Arc::clone(&file), span }.line_and_column();
        prop_assert!(line >= 1 && column >= 1);
    }
    Ok(())
}
