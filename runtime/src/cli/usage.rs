//! Errors of the command line, in the form of all other errors: what failed and why, then a help.

use std::{error::Error as _, ffi::OsString};

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Failure;

/// The failure for arguments that cannot be used. `arguments` are those of the process, the name of
/// the program first.
pub(super) fn failure(
    error: &clap::Error,
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Failure {
    let see = format!("see `{} --help`", subcommand(command, arguments));
    let help = match suggestion(error) {
        Some(name) => format!("did you mean `{name}`? {see}"),
        None => see,
    };
    Failure::usage(what(error)).help(help)
}

/// The subcommand that the arguments name, as it is typed: `pattoo-wasm spool list`.
fn subcommand(command: &Command, arguments: impl IntoIterator<Item = OsString>) -> String {
    let mut name = command.get_name().to_owned();
    let mut command = command;
    for argument in arguments.into_iter().skip(1) {
        if let Some(found) = command.find_subcommand(&argument) {
            name = format!("{name} {}", found.get_name());
            command = found;
        }
    }
    name
}

/// The argument, value or command that may have been meant.
fn suggestion(error: &clap::Error) -> Option<String> {
    [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
        .into_iter()
        .find_map(|kind| texts(error, kind).into_iter().next())
}

/// What is wrong, and why.
fn what(error: &clap::Error) -> String {
    let argument = list(&texts(error, ContextKind::InvalidArg));
    let value = texts(error, ContextKind::InvalidValue).concat();
    let known = texts(error, ContextKind::ValidValue);
    let expected = if known.is_empty() { String::new() } else { format!(": expected one of {}", list(&known)) };
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => format!("missing value for {argument}{expected}"),
        ErrorKind::InvalidValue => format!("invalid value `{value}` for {argument}{expected}"),
        ErrorKind::ValueValidation => {
            let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
            format!("invalid value `{value}` for {argument}{why}")
        }
        ErrorKind::UnknownArgument => format!("unknown argument {argument}"),
        ErrorKind::InvalidSubcommand => {
            format!("unknown command {}", list(&texts(error, ContextKind::InvalidSubcommand)))
        }
        ErrorKind::MissingRequiredArgument => format!("missing argument: {argument}"),
        ErrorKind::ArgumentConflict => {
            let other = list(&texts(error, ContextKind::PriorArg));
            if argument == other {
                format!("{argument} is given twice")
            } else {
                format!("{argument} cannot be used with {other}")
            }
        }
        _ => {
            // `error: WHAT`, then paragraphs with tips and the usage.
            let text = error.render().to_string();
            let what = text.strip_prefix("error: ").unwrap_or(&text).split("\n\n").next().unwrap_or_default();
            what.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

/// The texts that an error has of this kind.
fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn list(texts: &[String]) -> String {
    texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}
