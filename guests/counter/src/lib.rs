//! Counts its own collections, across restarts: the smallest collector with a memory.
//!
//! The number goes up by one with each collection that ended well and whose datapoints are safe. So a hole in the numbers that
//! arrived is a loss, wherever it happened, and a number that arrived twice a repetition.

use pattoo_guest::{Context, Result, Value, state, target};

fn collect() -> Result {
    let before: u64 = match state::get("count") {
        Some(text) => String::from_utf8(text)?.parse().context("what was kept of `count`")?,
        None => 0,
    };
    let count = before.checked_add(1).ok_or("this has counted as far as it can")?;
    target("counter").emit("count", Value::counter64(count))?;
    state::set("count", count.to_string())?;
    Ok(())
}

pattoo_guest::collector!(collect);

#[cfg(test)]
mod tests {
    use pattoo_guest::{Value, testing::Host};

    use super::collect;

    #[test]
    fn each_collection_counts_one_more() {
        let mut host = Host::new();
        for count in 1u64..4 {
            assert_eq!(host.collect(collect).value("counter", "count"), Some(&Value::counter64(count)));
        }
    }

    #[test]
    fn it_goes_on_where_it_was() {
        let collection = Host::new().state("count", "41").collect(collect);
        assert_eq!(collection.value("counter", "count"), Some(&Value::counter64(42u64)));
    }

    #[test]
    fn a_memory_that_is_no_number_is_an_error() {
        let collection = Host::new().state("count", "many").collect(collect);
        assert!(collection.outcome.is_err());
        assert!(collection.values().is_empty());
    }
}
