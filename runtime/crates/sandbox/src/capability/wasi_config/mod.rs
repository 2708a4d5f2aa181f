//! `wasi:config/store`: the settings of the collector, one by one.
//!
//! A setting that is a text is handed over as that text, any other as its JSON. They are taken
//! apart when the first is asked for, and charged from then on.

mod bindings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

use self::bindings::wasi::config::store;
use super::{CapabilityDefinition, Charge, Context, Host, HostView, Interface, LimitReached, Ungranted};

/// What a setting takes in the host's memory beside its texts.
const PER_SETTING: usize = 128;

/// The capability. It is that version of the draft which wasmtime 48 has.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition::new(
    "wasi_config",
    &[Interface::draft("wasi:config/store", "0.2.0-rc.1", None, "reads its settings, one by one")],
);

/// What one collection sees of it.
#[derive(Debug)]
pub struct Config {
    /// The settings, once one was asked for.
    settings: Option<Result<BTreeMap<String, String>, NotAnObject>>,
    charge: Charge,
}

/// The settings are not a JSON object.
#[derive(Debug)]
struct NotAnObject;

impl Ungranted for Config {
    fn begin(context: &Context) -> Self {
        Self { settings: None, charge: context.account.nothing() }
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        store::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

impl Config {
    /// The settings; `text` is all of them as a JSON object.
    fn settings(&mut self, text: &str) -> Result<Result<&BTreeMap<String, String>, store::Error>, LimitReached> {
        if self.settings.is_none() {
            let settings = taken_apart(text);
            self.charge.resize(settings.as_ref().map_or(0, held))?;
            self.settings = Some(settings);
        }
        let settings = self.settings.as_ref().and_then(|settings| settings.as_ref().ok());
        Ok(settings.ok_or_else(|| store::Error::Upstream("the settings are not a JSON object".to_owned())))
    }
}

/// The settings by their names.
fn taken_apart(text: &str) -> Result<BTreeMap<String, String>, NotAnObject> {
    let settings: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).map_err(|_| NotAnObject)?;
    let value = |raw: Box<RawValue>| match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => text,
        Err(_) => raw.get().to_owned(),
    };
    Ok(settings.into_iter().map(|(name, raw)| (name, value(raw))).collect())
}

/// What settings take in memory.
fn held(settings: &BTreeMap<String, String>) -> usize {
    let one = |(name, value): (&String, &String)| name.len().saturating_add(value.len()).saturating_add(PER_SETTING);
    settings.iter().map(one).fold(0, usize::saturating_add)
}

impl store::Host for Host {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        self.hand_over(0)?;
        let settings = match self.capabilities.wasi_config.settings(&self.context.assignment.settings)? {
            Ok(settings) => settings,
            Err(error) => return Ok(Err(error)),
        };
        let value = settings.get(&key);
        self.handed_over.resize(value.map_or(0, String::len))?;
        Ok(Ok(value.cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        self.hand_over(0)?;
        let settings = match self.capabilities.wasi_config.settings(&self.context.assignment.settings)? {
            Ok(settings) => settings,
            Err(error) => return Ok(Err(error)),
        };
        self.handed_over.resize(held(settings))?;
        Ok(Ok(settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect()))
    }
}
