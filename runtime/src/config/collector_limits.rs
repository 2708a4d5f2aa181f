//! `limits:` of a collector: each limit by its name, with its unit and its range.

use pattoo_sandbox::{
    CompileLimits,
    capability::{self, CAPABILITIES, COLLECTION_LIMITS},
};
use pattoo_settings::{
    Fields, GIB, HOUR, KIB, Key, MIB, Quantity, QuantityError, Reported, SECOND, Unit,
    convert::{duration, millis, narrow, same},
    quantity,
};

/// How much a collector may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectorLimits {
    /// Each of its collections.
    pub collection: capability::CollectionLimits,
    /// Its module.
    pub module: CompileLimits,
}

/// One limit that can be set.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The key that sets it.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The least it can be, in its unit.
    pub min: u64,
    /// The most it can be, in its unit.
    pub max: u64,
    of: Of,
}

/// What a limit is on.
#[derive(Debug, Clone, Copy)]
enum Of {
    Collection(&'static Quantity<capability::CollectionLimits>),
    Module(&'static Quantity<CompileLimits>),
}

/// Those on the module.
static MODULE: &[Quantity<CompileLimits>] = &[
    quantity!("module_bytes", "bytes of the module file", Size, KIB, GIB, module_bytes, same, same),
    quantity!(
        "module_functions",
        "functions that the module defines",
        Count,
        1,
        10_000_000,
        functions,
        u64::from,
        narrow
    ),
    quantity!("compile_time", "processor time for compiling the module", Time, SECOND, HOUR, time, millis, duration),
    quantity!(
        "compile_memory",
        "address space for compiling the module",
        Size,
        256 * MIB,
        64 * GIB,
        memory,
        same,
        same
    ),
];

/// Those on a collection, by what they belong to.
fn of_collections() -> impl Iterator<Item = &'static [Quantity<capability::CollectionLimits>]> {
    [COLLECTION_LIMITS].into_iter().chain(CAPABILITIES.iter().map(|capability| capability.limits))
}

/// Every limit that can be set.
pub fn known_limits() -> impl Iterator<Item = Limit> {
    let of_collections = of_collections().flatten().map(|quantity| {
        let Quantity { name, doc, unit, min, max, .. } = *quantity;
        Limit { name, doc, unit, min, max, of: Of::Collection(quantity) }
    });
    let of_module = MODULE.iter().map(|quantity| {
        let Quantity { name, doc, unit, min, max, .. } = *quantity;
        Limit { name, doc, unit, min, max, of: Of::Module(quantity) }
    });
    of_collections.chain(of_module)
}

/// The limit of this name.
pub fn limit_named(name: &str) -> Option<Limit> {
    known_limits().find(|limit| limit.name == name)
}

/// The keys of `limits:`.
pub(super) fn keys() -> Vec<Key> {
    let usual = CollectorLimits::default();
    let of_collections = of_collections().flat_map(|quantities| Key::of_quantities(quantities, &usual.collection));
    of_collections.chain(Key::of_quantities(MODULE, &usual.module)).collect()
}

/// Reads `limits:`.
pub(super) fn read(fields: Fields<'_>) -> Result<CollectorLimits, Reported> {
    let mut limits = CollectorLimits::default();
    for quantities in of_collections() {
        fields.quantities(quantities, &mut limits.collection)?;
    }
    fields.quantities(MODULE, &mut limits.module)?;
    Ok(limits)
}

impl Limit {
    /// Its value, in its unit.
    pub fn get(&self, limits: &CollectorLimits) -> u64 {
        match self.of {
            Of::Collection(quantity) => (quantity.get)(&limits.collection),
            Of::Module(quantity) => (quantity.get)(&limits.module),
        }
    }

    /// Its value, as it is written in a file.
    pub fn show(&self, limits: &CollectorLimits) -> String {
        self.unit.show(self.get(limits))
    }

    /// Sets it to what is written.
    ///
    /// # Errors
    ///
    /// When that is not in its unit, or out of range.
    pub fn set(&self, limits: &mut CollectorLimits, text: &str) -> Result<(), QuantityError> {
        match self.of {
            Of::Collection(quantity) => quantity.set(&mut limits.collection, text),
            Of::Module(quantity) => quantity.set(&mut limits.module, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use pattoo_fetch::Cap;

    use super::{CollectorLimits, known_limits, limit_named};

    #[test]
    fn every_default_is_in_its_range_and_reads_back_as_it_is_shown() {
        for limit in known_limits() {
            let mut limits = CollectorLimits::default();
            let shown = limit.show(&limits);
            limit.set(&mut limits, &shown).unwrap();
            assert_eq!(limits, CollectorLimits::default(), "{}", limit.name);
            for edge in [limit.min, limit.max] {
                limit.set(&mut limits, &limit.unit.show(edge)).unwrap();
                assert_eq!(limit.get(&limits), edge, "{}", limit.name);
            }
        }
    }

    #[test]
    fn limits_in_messages_can_be_set() {
        for name in ["memory", "table_elements", "spans", "fetches", "datapoints", "datapoint_bytes"] {
            assert!(limit_named(name).is_some(), "{name}");
        }
        for cap in [
            Cap::ResponseBody,
            Cap::CompressedBody,
            Cap::ResponseHeaders,
            Cap::ResponseHeaderBytes,
            Cap::RequestBody,
            Cap::RequestHeaders,
            Cap::RequestHeaderBytes,
        ] {
            assert!(limit_named(cap.setting()).is_some(), "{}", cap.setting());
        }
    }

    #[test]
    fn value_out_of_range_is_refused_with_the_range() {
        let error = limit_named("memory").unwrap().set(&mut CollectorLimits::default(), "1KiB").unwrap_err();
        assert_eq!(error.to_string(), "invalid `memory`: expected 64KiB to 4GiB, found 1KiB");
    }
}
