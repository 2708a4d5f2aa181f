//! Guests that want to do harm, each stopped by the one control that is there for it; and that it is this one.
//!
//! A guest is a file in `guests/`, or made by `giants` where it is too large to write down. Its first lines say what it attacks
//! and which control stops it. Each is run three times: as it is, when it must end as its control says and the collector that
//! runs right after it in the same sandbox must notice nothing; and without that control, when it must get through, so that
//! nothing else stopped it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may do what tests may do"
)]

mod bare;
mod controls;
mod corpus;
mod fairness;
mod giants;
mod isolation;
mod machine;
mod peers;
mod random;
