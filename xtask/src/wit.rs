//! `cargo xtask wit`: the page `docs/reference/wit.md` from the contract in `wit/`.

use std::{fmt::Write as _, path::Path};

use wit_parser::{Docs, Function, Interface, Resolve, Type, TypeDef, TypeDefKind, World, WorldItem};

use crate::{result::Result, tools};

const INTRODUCTION: &str = "\
# The WIT contract

This page is the reference of the functions that a collector can call, in the terms of the component
model. It is generated from [`wit/`](../../wit/world.wit) by `cargo xtask wit`. The SDK of each
language documents its own spelling, and [the ABI](../guests/abi.md) the layout in memory.
";

/// Writes the page.
pub(crate) fn write() -> Result<()> {
    let path = tools::root().join("docs/reference/wit.md");
    std::fs::write(&path, page()?).map_err(|error| format!("{}: {error}", path.display()))
}

/// The page as it should be.
fn page() -> Result<String> {
    let mut resolve = Resolve::default();
    let folder = tools::root().join("wit");
    let (package, _) = resolve.push_dir(Path::new(&folder)).map_err(|error| format!("wit/: {error:#}"))?;
    let package = resolve.packages.get(package).ok_or("wit/ has no package")?;
    let mut page = format!("{INTRODUCTION}\nPackage `{}`.\n", package.name);
    for world in package.worlds.values().filter_map(|id| resolve.worlds.get(*id)) {
        describe_world(&mut page, &resolve, world);
    }
    for interface in package.interfaces.values().filter_map(|id| resolve.interfaces.get(*id)) {
        describe_interface(&mut page, &resolve, interface);
    }
    Ok(page)
}

fn describe_world(page: &mut String, resolve: &Resolve, world: &World) {
    section(page, &format!("## World `{}`", world.name), &world.docs);
    for item in world.exports.values() {
        if let WorldItem::Function(function) = item {
            describe_function(page, resolve, function, "export ");
        }
    }
}

fn describe_interface(page: &mut String, resolve: &Resolve, interface: &Interface) {
    let name = interface.name.as_deref().unwrap_or_default();
    section(page, &format!("## Interface `{name}`"), &interface.docs);
    for (name, id) in &interface.types {
        if let Some(definition) = resolve.types.get(*id) {
            describe_type(page, resolve, name, definition);
        }
    }
    for function in interface.functions.values() {
        describe_function(page, resolve, function, "");
    }
}

fn describe_function(page: &mut String, resolve: &Resolve, function: &Function, before: &str) {
    let parameters = function.params.iter().map(|param| format!("{}: {}", param.name, spelled(resolve, param.ty)));
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    let result = function.result.map_or_else(String::new, |ty| format!(" -> {}", spelled(resolve, ty)));
    section(page, &format!("### `{}`", function.name), &Docs::default());
    push(page, &format!("```wit\n{before}{}: func({parameters}){result};\n```", function.name));
    describe(page, &function.docs);
}

/// A type with the table of its parts.
fn describe_type(page: &mut String, resolve: &Resolve, name: &str, definition: &TypeDef) {
    let (kind, parts): (&str, Vec<(String, &Docs)>) = match &definition.kind {
        TypeDefKind::Record(record) => {
            let field = |field: &wit_parser::Field| format!("{}: {}", field.name, spelled(resolve, field.ty));
            ("record", record.fields.iter().map(|one| (field(one), &one.docs)).collect())
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| match case.ty {
                Some(ty) => format!("{}({})", case.name, spelled(resolve, ty)),
                None => case.name.clone(),
            };
            ("variant", variant.cases.iter().map(|one| (case(one), &one.docs)).collect())
        }
        TypeDefKind::Enum(cases) => ("enum", cases.cases.iter().map(|one| (one.name.clone(), &one.docs)).collect()),
        // What another interface defines is described there.
        _ => return,
    };
    section(page, &format!("### {kind} `{name}`"), &definition.docs);
    let row = |(part, docs): (String, &Docs)| {
        format!("| `{part}` | {} |", docs.contents.as_deref().unwrap_or_default().trim().replace('\n', " "))
    };
    let rows: Vec<String> = parts.into_iter().map(row).collect();
    push(page, &format!("| | |\n|---|---|\n{}", rows.join("\n")));
}

/// A type as it is written.
fn spelled(resolve: &Resolve, ty: Type) -> String {
    let id = match ty {
        Type::Id(id) => id,
        Type::Bool => return "bool".to_owned(),
        Type::String => return "string".to_owned(),
        other => return format!("{other:?}").to_lowercase(),
    };
    let Some(definition) = resolve.types.get(id) else { return String::new() };
    let part = |ty: &Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| spelled(resolve, ty));
    match (&definition.name, &definition.kind) {
        (Some(name), _) => name.clone(),
        (None, TypeDefKind::List(item)) => format!("list<{}>", spelled(resolve, *item)),
        (None, TypeDefKind::Option(item)) => format!("option<{}>", spelled(resolve, *item)),
        (None, TypeDefKind::Result(result)) => format!("result<{}, {}>", part(&result.ok), part(&result.err)),
        (None, kind) => kind.as_str().to_owned(),
    }
}

fn section(page: &mut String, heading: &str, docs: &Docs) {
    push(page, heading);
    describe(page, docs);
}

fn describe(page: &mut String, docs: &Docs) {
    if let Some(text) = &docs.contents {
        push(page, text.trim());
    }
}

/// A paragraph. Writing to a string cannot fail.
fn push(page: &mut String, text: &str) {
    let _ = write!(page, "\n{text}\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_the_one_that_the_contract_gives() {
        let committed = include_str!("../../docs/reference/wit.md");
        assert!(committed == super::page().unwrap(), "docs/reference/wit.md is stale: run `cargo xtask wit`");
    }
}
