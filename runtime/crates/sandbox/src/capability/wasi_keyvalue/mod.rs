//! `wasi:keyvalue`: the values that survive from one collection to the next, as over
//! `pattoo:agent/state`.
//!
//! There is one bucket, which is called `default` or nothing at all. It holds the values of the
//! program: what is set here is found there, the same limits count, and nothing is kept of a
//! collection that does not end well. No grant is needed.

mod bindings;
#[cfg(test)]
mod tests;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::WasiView;

use self::bindings::wasi::keyvalue::{
    atomics, batch,
    store::{self, Error, KeyResponse},
};
use super::{
    CapabilityDefinition, Context, Host, HostView, Interface, Ungranted,
    state::{self, Unset},
};

/// That version of the draft which wasmtime 48 has.
const VERSION: &str = "0.2.0-draft";

/// The names of the bucket.
const BUCKETS: [&str; 2] = ["", "default"];

/// After how many keys of one call others have their turn.
const PER_TURN: usize = 1_000;
/// What a key and its value take in the host's memory beside their bytes.
const PER_VALUE: usize = 64;

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition {
    power: Some(&state::POWER),
    ..CapabilityDefinition::new(
        "wasi_keyvalue",
        &[
            Interface::draft(
                "wasi:keyvalue/store",
                VERSION,
                Some(&state::POWER),
                "stores values for later collections",
            ),
            Interface::draft("wasi:keyvalue/atomics", VERSION, Some(&state::POWER), "increments stored values"),
            Interface::draft(
                "wasi:keyvalue/batch",
                VERSION,
                Some(&state::POWER),
                "stores several values for later collections",
            ),
        ],
    )
};

/// The bucket. It holds nothing itself.
#[derive(Debug)]
pub struct Bucket;

/// What one collection sees of it: all of it is in its state.
#[derive(Debug)]
pub struct KeyValue;

impl Ungranted for KeyValue {
    fn begin(_: &Context) -> Self {
        Self
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        store::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)?;
        atomics::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)?;
        batch::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

impl From<Unset> for Error {
    fn from(unset: Unset) -> Self {
        match unset {
            Unset::Invalid(why) => Self::Other(why),
            Unset::Quota(reached) => Self::Other(reached.to_string()),
        }
    }
}

/// Lets others have their turn after so many keys.
async fn turn(index: usize) {
    if index.is_multiple_of(PER_TURN) {
        tokio::task::yield_now().await;
    }
}

impl store::Host for Host {
    fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        if !BUCKETS.contains(&identifier.as_str()) {
            return Ok(Err(Error::NoSuchStore));
        }
        Ok(Ok(self.resources.push(Bucket)?))
    }
}

impl store::HostBucket for Host {
    async fn get(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(Ok(self.state_value(&key).await?))
    }

    async fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.set_state(key, value).await?.map_err(Error::from))
    }

    async fn delete(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(Ok(self.remove_state(key).await?))
    }

    async fn exists(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(Ok(self.state_size(&key).await?.is_some()))
    }

    async fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let mut keys = self.state_keys().await?;
        // All of them come at once, so that there is no next page; a cursor only skips keys.
        let skipped = usize::try_from(cursor.unwrap_or_default()).unwrap_or(usize::MAX).min(keys.len());
        keys.drain(..skipped);
        Ok(Ok(KeyResponse { keys, cursor: None }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.resources.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Host {
    /// The value is a number in decimal digits, as wasmtime's own implementation has it.
    async fn increment(
        &mut self,
        _: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let before = match self.state_value(&key).await? {
            None => 0,
            Some(value) => match std::str::from_utf8(&value).ok().and_then(|text| text.parse::<u64>().ok()) {
                Some(number) => number,
                None => return Ok(Err(Error::Other("the value is not a number in decimal digits".to_owned()))),
            },
        };
        let Some(after) = before.checked_add(delta) else {
            return Ok(Err(Error::Other("the number would be too large".to_owned())));
        };
        let set = self.set_state(key, after.to_string().into_bytes()).await?;
        Ok(set.map(|()| after).map_err(Error::from))
    }
}

impl batch::Host for Host {
    async fn get_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<(String, Vec<u8>)>>, Error>> {
        // A guest may name a key as often as it likes, so that each value is charged before it is
        // copied.
        self.hand_over(keys.len().saturating_mul(PER_VALUE))?;
        let mut found = Vec::with_capacity(keys.len());
        for (index, key) in (1..).zip(keys) {
            let size = self.state_size(&key).await?;
            self.handed_over.add(size.unwrap_or_default().saturating_add(key.len()))?;
            found.push(self.state_copy(&key).await?.map(|value| (key, value)));
            turn(index).await;
        }
        Ok(Ok(found))
    }

    async fn set_many(
        &mut self,
        _: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        for (index, (key, value)) in (1..).zip(key_values) {
            if let Err(unset) = self.set_state(key, value).await? {
                return Ok(Err(unset.into()));
            }
            turn(index).await;
        }
        Ok(Ok(()))
    }

    async fn delete_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> wasmtime::Result<Result<(), Error>> {
        for (index, key) in (1..).zip(keys) {
            self.remove_state(key).await?;
            turn(index).await;
        }
        Ok(Ok(()))
    }
}
