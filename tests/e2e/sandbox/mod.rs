//! What a collector can use and reach: loading, limits, denials, state, and fairness.

mod compiler;
mod componentize;
mod fairness;
mod limits;
mod misbehaving;
mod state;
