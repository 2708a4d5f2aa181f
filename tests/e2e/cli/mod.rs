//! What the command prints, its exit codes, and what it does with bad input.

mod bad_input;
mod inspect;
mod new_project;
mod receive;
mod run;
