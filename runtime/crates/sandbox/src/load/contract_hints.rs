//! The functions of the contract, word by word as `wit/` has them, for messages about components that have others. (Core modules
//! are told the same in the words of the ABI, by `componentize.rs`.)

use crate::capability::Interface;

const WORLD: &str = "pattoo:agent/collector@0.1.0";
const WORLD_WIT: &str = include_str!("../../../../../wit/world.wit");

/// What a function should be that the engine refused, if its message names one.
pub(super) fn should_be(failure: &str) -> Option<String> {
    if let Some(name) = quoted(failure, "export func `") {
        return of(WORLD, name).map(|function| format!("it must be `{function}`"));
    }
    let interface = quoted(failure, "imports instance `")?;
    match of(interface, quoted(failure, "instance export `")?) {
        Some(function) => Some(format!("it must be `{function}`")),
        None if failure.ends_with("is missing") => {
            let names: Vec<_> = functions(interface).filter_map(|function| function.split(": func(").next()).collect();
            (!names.is_empty()).then(|| format!("the interface has {}", names.join(", ")))
        }
        None => None,
    }
}

/// A function with its signature: `now: func() -> u64`.
fn of(interface: &str, name: &str) -> Option<&'static str> {
    functions(interface).find(|function| function.strip_prefix(name).is_some_and(|rest| rest.starts_with(": func(")))
}

/// The functions of an interface; a line says each.
fn functions(interface: &str) -> impl Iterator<Item = &'static str> {
    let wit = if interface == WORLD { Some(WORLD_WIT) } else { Interface::of(interface).and_then(|found| found.wit) };
    let lines = wit.into_iter().flat_map(str::lines).filter_map(|line| line.trim().strip_suffix(';'));
    lines.map(|line| line.trim_start_matches("export ")).filter(|line| line.contains(": func("))
}

/// What stands between these words and the next backtick.
fn quoted<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.split_once(words)?.1.split('`').next()
}

#[cfg(test)]
mod tests {
    use wit_parser::decoding::decode_world;

    use super::{WORLD, of};
    use crate::capability::COMPONENT_TYPE;

    #[test]
    fn every_function_of_the_contract_is_found_by_its_name() {
        let (resolve, _) = decode_world(COMPONENT_TYPE).unwrap();
        let mut found = 0;
        for (id, interface) in &resolve.interfaces {
            let name = resolve.id_of(id).unwrap();
            for function in interface.functions.keys() {
                if name.starts_with("pattoo:") {
                    assert!(of(&name, function).is_some(), "{name}, {function}");
                    found += 1;
                }
            }
        }
        assert!(found > 10);
        assert_eq!(of(WORLD, "collect"), Some("collect: func() -> result<_, string>"));
    }
}
