//! Environment variables: each option has one, and a mistyped name must not be ignored in silence.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
};

use clap::Command;

const PREFIX: &str = "SIGNET_";

/// How similar a known name must be to be suggested, from 0 to 1.
const SIMILAR: f64 = 0.85;

/// The options of all commands, such as `--listen`, with their variables.
pub(super) fn of_options(command: &Command) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    collect(command, &mut variables);
    variables
}

fn collect(command: &Command, variables: &mut BTreeMap<String, String>) {
    for option in command.get_arguments() {
        if let (Some(long), Some(variable)) = (option.get_long(), option.get_env().and_then(OsStr::to_str)) {
            variables.insert(format!("--{long}"), variable.to_owned());
        }
    }
    command.get_subcommands().for_each(|command| collect(command, variables));
}

/// A warning for each variable that looks like one of ours and is none.
pub(super) fn warnings<'a>(
    known: &BTreeMap<String, String>,
    names: impl IntoIterator<Item = &'a OsStr>,
) -> Vec<String> {
    let names = names.into_iter().map(OsStr::to_string_lossy);
    let unknown = names.filter(|name| {
        name.starts_with(PREFIX) && !is_service_link(name) && !known.values().any(|variable| variable == name)
    });
    unknown.map(|name| warning(known, &name)).collect()
}

fn warning(known: &BTreeMap<String, String>, name: &str) -> String {
    let similarity = |variable: &str| strsim::jaro_winkler(&name[PREFIX.len()..], &variable[PREFIX.len()..]);
    let nearest = known.values().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    let hint = match nearest.filter(|variable| similarity(variable) >= SIMILAR) {
        Some(variable) => format!("; did you mean {variable}?"),
        None => String::new(),
    };
    format!("the variable {name} is unknown and has no effect{hint}")
}

/// Kubernetes sets such variables for a service that is called `signet`, or `signet-` and something.
fn is_service_link(name: &str) -> bool {
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || name.ends_with("_PORT")
}

/// The text with each option replaced by its variable, where the value came from the variable.
pub(super) fn name_sources(text: &str, known: &BTreeMap<String, String>, arguments: &[OsString]) -> String {
    let is_given = |option: &str| {
        let mut given = arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix(option));
        given.any(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let sources = known.iter().filter(|(option, variable)| !is_given(option) && env::var_os(variable).is_some());
    sources.fold(text.to_owned(), |text, (option, variable)| replace(&text, option, variable))
}

fn replace(text: &str, option: &str, variable: &str) -> String {
    let (mut replaced, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(option) {
        replaced.push_str(before);
        if after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-') {
            // The beginning of another option's name.
            replaced.push_str(option);
            rest = after;
        } else {
            replaced.push_str(variable);
            // The name of its value: `--listen <ADDRESS>`.
            rest = after.strip_prefix(" <").and_then(|name| name.split_once('>')).map_or(after, |(_, rest)| rest);
        }
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn unknown_variable_is_reported_with_the_nearest_known_one() {
        let known = of_options(&Cli::command());
        let report = |name: &str| warnings(&known, [OsStr::new(name)]).join("\n");
        for (name, suggested) in [
            ("SIGNET_LISTN", "SIGNET_LISTEN"),
            ("SIGNET_DATABASE_URI", "SIGNET_DATABASE_URL"),
            ("SIGNET_LOGFORMAT", "SIGNET_LOG_FORMAT"),
        ] {
            let expected = format!("the variable {name} is unknown and has no effect; did you mean {suggested}?");
            assert_eq!(report(name), expected);
        }
        assert_eq!(report("SIGNET_QQ"), "the variable SIGNET_QQ is unknown and has no effect");
        for known in ["SIGNET_LISTEN", "SIGNET_PARTNER", "PATH", "OTHER_SIGNET_X"] {
            assert_eq!(report(known), "", "{known}");
        }
        for link in ["SIGNET_SERVICE_HOST", "SIGNET_API_SERVICE_PORT_HTTPS", "SIGNET_PORT", "SIGNET_PORT_4401_TCP_ADDR"]
        {
            assert_eq!(report(link), "", "{link}");
        }
    }

    #[test]
    fn option_is_replaced_by_its_variable_as_a_whole_word() {
        for (text, expected) in [
            ("--log <FILTER>: must be", "SIGNET_LOG: must be"),
            ("--log: x; add --log-format", "SIGNET_LOG: x; add --log-format"),
            ("nothing of it", "nothing of it"),
            ("a --log", "a SIGNET_LOG"),
        ] {
            assert_eq!(replace(text, "--log", "SIGNET_LOG"), expected);
        }
    }
}
