//! The flags that grant something: one for each capability that can be granted.

use clap::{Arg, ArgAction, ArgMatches, Command};
use pattoo_sandbox::capability::{CAPABILITIES, GrantFlag, GrantFlagError, Grants};

use super::Failure;

/// The flags, each with a value, in the order of the capabilities.
#[derive(Debug)]
pub(super) struct GrantFlags(Vec<(&'static GrantFlag, String)>);

/// The flags by their names.
fn flags() -> impl Iterator<Item = (&'static str, &'static GrantFlag)> {
    CAPABILITIES.iter().filter_map(|capability| Some((capability.name, capability.grant?.flag)))
}

impl clap::Args for GrantFlags {
    fn augment_args(command: Command) -> Command {
        command.args(flags().map(|(name, flag)| {
            let parse = |text: &str| (flag.grant)(text, &mut Grants::default()).map(|()| text.to_owned());
            let arg = Arg::new(name).long(name).value_name(flag.value_name).help(flag.help);
            arg.action(ArgAction::Append).value_parser(parse)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for GrantFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let values = |(name, flag): (&str, &'static GrantFlag)| {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            values.map(|value| (flag, value.clone())).collect::<Vec<_>>()
        };
        Ok(Self(flags().flat_map(values).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl GrantFlags {
    /// Adds what they grant.
    pub(super) fn add_to(&self, grants: &mut Grants) -> Result<(), Failure> {
        self.0.iter().try_for_each(|(flag, value)| (flag.grant)(value, grants)).map_err(|error| match error {
            GrantFlagError::Twice { what, help } => Failure::usage(what).help(help),
            GrantFlagError::Invalid(what) => Failure::usage(what),
        })
    }
}
