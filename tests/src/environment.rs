//! Variables of the environment that configure long tests, and the environment of commands.

use std::{env, fmt::Display, process::Command, str::FromStr};

/// A setting of a long test, if the environment has it.
pub fn setting<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// A command that runs `command` by `wrapper`: with its program and arguments last, in its
/// environment and folder.
pub fn wrapped(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    in_environment_of(wrapper, command)
}

/// The command `to` in the environment and folder of `from`.
pub fn in_environment_of(mut to: Command, from: &Command) -> Command {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
    to.current_dir(from.get_current_dir().expect("the folder of a site"));
    to
}
