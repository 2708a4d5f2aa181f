//! Componentizing: makes a component of a core module, in memory, with the contract of `wit/`.
//!
//! Toolchains without component support (C with plain clang, Go's wasip1, AssemblyScript, Zig, a text file written by hand)
//! produce a core module that imports the contract's functions under their canonical names and exports `collect`. The page
//! `docs/guests/abi.md` describes such a module; the errors of this file name each difference from that description.
//!
//! A module that carries a description of its world, as bindings generators write it, is encoded with that description; any
//! other module gets ours.

use std::fmt;

use pattoo_base::text::one_line;
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{
    Function, Resolve, WorldId, WorldItem,
    abi::{AbiVariant, WasmType},
};

use super::preview1;
use crate::capability::COMPONENT_TYPE;

/// The export that every collector has.
const COLLECT: &str = "collect";
/// The module of WASI 0.1.
const WASI: &str = "wasi_snapshot_preview1";
/// How much of a name or message out of the module is shown, in bytes.
const MAX_SHOWN: usize = 300;

/// Why a core module cannot be made a collector.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComponentizeError {
    /// It is damaged, or uses what the engine does not offer.
    #[error("it is not valid: {0}")]
    Invalid(String),
    /// It imports from a module that does not exist for collectors.
    #[error("it imports `{function}` from `{module}`, which no collector can import")]
    UnknownModule {
        /// The first part of the import.
        module: String,
        /// The second.
        function: String,
    },
    /// It imports what this interface does not have.
    #[error("it imports `{function}` from `{interface}`, which has {}", known.join(", "))]
    UnknownFunction {
        /// The interface.
        interface: String,
        /// What it does not have.
        function: String,
        /// What it has.
        known: Vec<String>,
    },
    /// An import or export has another signature than it must have.
    #[error("{what} has the signature {found}, and must have {expected}")]
    Signature {
        /// Which one: "its import `now` from `pattoo:agent/clock@0.1.0`".
        what: String,
        /// The one that it has.
        found: Signature,
        /// The one that it must have.
        expected: Signature,
    },
    /// An export is missing.
    #[error("it does not export {0}")]
    NoExport(&'static str),
    /// The encoder refuses it for another reason.
    #[error("{0}")]
    Encoder(String),
    /// Our own description of the world cannot be read.
    #[error("the description of the world in this program is damaged: {0}")]
    World(String),
}

/// The signature of a core function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    parameters: Vec<ValType>,
    results: Vec<ValType>,
}

impl From<&FuncType> for Signature {
    fn from(function: &FuncType) -> Self {
        Self { parameters: function.params().to_vec(), results: function.results().to_vec() }
    }
}

impl Signature {
    /// The one that the canonical ABI gives to a function of the contract.
    fn of(resolve: &Resolve, function: &Function, variant: AbiVariant) -> Self {
        let signature = resolve.wasm_signature(variant, function);
        let core = |types: &[WasmType]| {
            let core = |value: &WasmType| match value {
                WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
                WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
                WasmType::F32 => ValType::F32,
                WasmType::F64 => ValType::F64,
            };
            types.iter().map(core).collect()
        };
        Self { parameters: core(&signature.params), results: core(&signature.results) }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(formatter, "({}) -> ({})", list(&self.parameters), list(&self.results))
    }
}

/// The bytes of a component with the behaviour of this core module.
///
/// # Errors
///
/// When the module is damaged, or one of its imports or exports does not follow the contract.
pub(super) fn componentize(module: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    let (resolve, world) = wit_parser::decoding::decode_world(COMPONENT_TYPE)
        .map_err(|error| ComponentizeError::World(error.to_string()))?;
    let found = CoreModule::parse(module)?;
    let mut module = module.to_vec();
    if !found.describes_its_world {
        found.check(&resolve, world)?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(encoder_error)?;
    }
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).map_err(encoder_error)?;
    if found.imports.iter().any(|import| import.module == WASI) {
        encoder =
            encoder.adapter(WASI, &preview1::adapter().map_err(ComponentizeError::World)?).map_err(encoder_error)?;
    }
    encoder.encode().map_err(encoder_error)
}

fn encoder_error(error: impl fmt::Display) -> ComponentizeError {
    ComponentizeError::Encoder(one_line(&format!("{error:#}"), MAX_SHOWN))
}

/// The imports and exports of a core module.
struct CoreModule {
    /// Whether it carries the description of its world.
    describes_its_world: bool,
    imports: Vec<Import>,
    /// The signature of `collect`.
    collect: Option<Signature>,
    has_memory: bool,
}

/// A function that is imported.
struct Import {
    module: String,
    function: String,
    signature: Signature,
}

impl CoreModule {
    fn parse(module: &[u8]) -> Result<Self, ComponentizeError> {
        let invalid =
            |error: wasmparser::BinaryReaderError| ComponentizeError::Invalid(one_line(&error.to_string(), MAX_SHOWN));
        let mut found = Self { describes_its_world: false, imports: Vec::new(), collect: None, has_memory: false };
        // The signature of each type and of each function, by their indices.
        let mut types: Vec<Option<Signature>> = Vec::new();
        let mut functions: Vec<Option<Signature>> = Vec::new();
        let of = |list: &[Option<Signature>], index: u32| {
            usize::try_from(index).ok().and_then(|index| list.get(index).cloned()).flatten()
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(invalid)? {
                Payload::TypeSection(section) => {
                    for group in section {
                        let group = group.map_err(invalid)?;
                        types.extend(group.types().map(|ty| match &ty.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(function) => Some(function.into()),
                            _ => None,
                        }));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(invalid)?;
                        if let TypeRef::Func(index) = import.ty {
                            let signature = of(&types, index);
                            functions.push(signature.clone());
                            found.imports.extend(signature.map(|signature| Import {
                                module: import.module.to_owned(),
                                function: import.name.to_owned(),
                                signature,
                            }));
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for index in section {
                        functions.push(of(&types, index.map_err(invalid)?));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(invalid)?;
                        match (export.kind, export.name) {
                            (ExternalKind::Func, COLLECT) => found.collect = of(&functions, export.index),
                            (ExternalKind::Memory, "memory") => found.has_memory = true,
                            _ => {}
                        }
                    }
                }
                Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                    found.describes_its_world = true;
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Compares the imports and exports with the contract.
    fn check(&self, resolve: &Resolve, world: WorldId) -> Result<(), ComponentizeError> {
        let world = resolve.worlds.get(world).ok_or_else(|| ComponentizeError::World("it has no world".to_owned()))?;
        for import in self.imports.iter().filter(|import| import.module != WASI) {
            let shown = |name: &str| one_line(name, MAX_SHOWN);
            let interface = world.imports.iter().find_map(|(key, item)| match item {
                WorldItem::Interface { id, .. } if resolve.name_world_key(key) == import.module => {
                    resolve.interfaces.get(*id)
                }
                _ => None,
            });
            let (module, function) = (shown(&import.module), shown(&import.function));
            let Some(interface) = interface else { return Err(ComponentizeError::UnknownModule { module, function }) };
            let Some(known) = interface.functions.get(&import.function) else {
                let known = interface.functions.keys().map(|name| format!("`{name}`")).collect();
                return Err(ComponentizeError::UnknownFunction { interface: module, function, known });
            };
            let expected = Signature::of(resolve, known, AbiVariant::GuestImport);
            if import.signature != expected {
                let what = format!("its import `{function}` from `{module}`");
                return Err(ComponentizeError::Signature { what, found: import.signature.clone(), expected });
            }
        }
        let collect = self.collect.clone().ok_or(ComponentizeError::NoExport("a function `collect`"))?;
        let exported = world.exports.iter().find_map(|(key, item)| match item {
            WorldItem::Function(function) if resolve.name_world_key(key) == COLLECT => Some(function),
            _ => None,
        });
        let exported = exported.ok_or_else(|| ComponentizeError::World("it has no `collect`".to_owned()))?;
        let expected = Signature::of(resolve, exported, AbiVariant::GuestExport);
        if collect != expected {
            return Err(ComponentizeError::Signature {
                what: "its export `collect`".to_owned(),
                found: collect,
                expected,
            });
        }
        if self.has_memory { Ok(()) } else { Err(ComponentizeError::NoExport("a memory `memory`")) }
    }
}

#[cfg(test)]
mod tests {
    use super::componentize;

    fn fault(text: &str) -> String {
        componentize(&wat::parse_str(text).unwrap()).unwrap_err().to_string()
    }

    const IDLE: &str = r#"(memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0)"#;

    #[test]
    fn a_module_without_any_metadata_becomes_a_component() {
        let component = componentize(&wat::parse_str(format!("(module {IDLE})")).unwrap()).unwrap();
        assert_eq!(component.get(6..8), Some(&[1, 0][..]), "the layer of a component");
    }

    #[test]
    fn a_wrong_import_is_named_with_what_it_should_be() {
        let import = |module: &str, name: &str, signature: &str| {
            fault(&format!(r#"(module (import "{module}" "{name}" (func {signature})) {IDLE})"#))
        };
        assert_eq!(import("env", "print", ""), "it imports `print` from `env`, which no collector can import");
        assert_eq!(
            import("pattoo:agent/clock@0.1.0", "time", "(result i64)"),
            "it imports `time` from `pattoo:agent/clock@0.1.0`, which has `now`, `monotonic`"
        );
        assert_eq!(
            import("pattoo:agent/clock@0.1.0", "now", "(result i32)"),
            "its import `now` from `pattoo:agent/clock@0.1.0` has the signature () -> (i32), and must have () -> (i64)"
        );
    }

    #[test]
    fn a_wrong_or_missing_export_is_named_with_what_it_should_be() {
        assert_eq!(fault("(module)"), "it does not export a function `collect`");
        assert_eq!(
            fault(r#"(module (func (export "collect") (result i32) i32.const 0))"#),
            "it does not export a memory `memory`"
        );
        assert_eq!(
            fault(r#"(module (memory (export "memory") 1) (func (export "collect")))"#),
            "its export `collect` has the signature () -> (), and must have () -> (i32)"
        );
        let no_realloc = r#"(module (import "pattoo:agent/agent@0.1.0" "program" (func (param i32)))
            (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))"#;
        assert!(fault(no_realloc).contains("cabi_realloc"), "{}", fault(no_realloc));
    }

    #[test]
    fn a_damaged_module_is_an_error() {
        let whole = wat::parse_str(format!("(module {IDLE})")).unwrap();
        for length in 8..whole.len() {
            // What is cut between two sections may still be a module, but none with `collect`.
            assert!(componentize(&whole[..length]).is_err(), "{length} bytes of {}", whole.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_componentized_or_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = componentize(&bytes);
            let _ = componentize(&[b"\0asm\x01\0\0\0".as_slice(), &bytes].concat());
        }
    }
}
