//! The SDKs, and one collector that gives the same datapoints in every language.

mod c;
mod decode_vectors;
mod go;
mod sdks;
mod soak;
pub(crate) mod station;
