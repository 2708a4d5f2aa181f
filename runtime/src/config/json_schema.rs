//! The JSON Schema of `pattoo_wasm.yaml` for editors, derived from the forms by which the file is
//! read.

use pattoo_settings::{Form, Key, Kind, Unit};
use serde_json::{Map, Value, json};

use super::forms;

/// The schema of `pattoo_wasm.yaml`, in the dialect of 2020-12.
///
/// It describes the shape: keys, kinds, ranges. Other rules, such as the syntax of an origin, are
/// checked only when the file is read.
pub fn schema() -> Value {
    let mut schema = of_form(&forms::pattoo_wasm_yaml());
    schema.shift_insert(0, "$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.shift_insert(1, "title".to_owned(), "pattoo_wasm.yaml".into());
    Value::Object(schema)
}

fn of_form(form: &Form) -> Map<String, Value> {
    let mut schema = Map::new();
    if !form.variants.is_empty() {
        let one_of = form.variants().into_iter().map(|(name, variant)| of_variant(form, name, &variant));
        schema.insert("oneOf".to_owned(), one_of.collect());
        return schema;
    }
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), form.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect());
    let required: Vec<_> = form.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if form.one_of {
        schema.insert("minProperties".to_owned(), 1.into());
        schema.insert("maxProperties".to_owned(), 1.into());
    }
    schema.insert("additionalProperties".to_owned(), false.into());
    schema
}

/// The form with one value of its tag.
fn of_variant(form: &Form, name: &str, variant: &Form) -> Value {
    let mut schema = of_form(variant);
    let tag = form.keys.first().and_then(|tag| schema.get_mut("properties")?.get_mut(tag.name)?.as_object_mut());
    if let Some(tag) = tag {
        tag.shift_remove("enum");
        tag.insert("const".to_owned(), name.into());
    }
    Value::Object(schema)
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_kind(key.kind);
    let default = if key.default.is_empty() { String::new() } else { format!(" Default: {}.", key.default) };
    schema.shift_insert(0, "description".to_owned(), format!("{}.{default}", capital(key.doc)).into());
    Value::Object(schema)
}

/// The text with a capital letter at its beginning.
fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect()
}

fn of_kind(kind: Kind) -> Map<String, Value> {
    let schema = match kind {
        // A name or digest of digits only is a number in YAML, and is read as it is written.
        Kind::Text | Kind::Path => json!({ "type": ["string", "number"] }),
        Kind::Choice(texts) => json!({ "enum": texts }),
        Kind::Integer(least, most) | Kind::Quantity(Unit::Count, least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Quantity(Unit::Time, ..) => {
            json!({ "type": "string", "pattern": "^([0-9]+ *[a-zA-Zµ]+ *)+$" })
        }
        Kind::Quantity(Unit::Size, least, most) => json!({
            "type": ["string", "integer"],
            "pattern": "^[0-9.]+ *([kKmMgGtTpP]i?)?[bB]?$",
            "minimum": least,
            "maximum": most,
        }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Addresses => json!({
            "type": ["integer", "string"],
            "pattern": "^ *[0-9]+ *(- *[0-9]+ *)?(, *[0-9]+ *(- *[0-9]+ *)?)*$",
            "minimum": 0,
            "maximum": u16::MAX,
        }),
        Kind::Object => json!({ "type": "object" }),
        Kind::List(kind) => json!({ "type": "array", "items": of_kind(*kind) }),
        Kind::Form(form) => return of_form(&form()),
        Kind::Named(form) => json!({ "type": "object", "additionalProperties": of_form(&form()) }),
    };
    if let Value::Object(schema) = schema { schema } else { Map::new() }
}
