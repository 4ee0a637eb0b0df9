//! The command line: one command a file.
#![expect(
    clippy::doc_markdown,
    reason = "the comments of commands and options are their help, which shows markup as it is"
)]

mod backup;
mod browsers;
mod database;
mod key;
mod migrate;
mod openapi;
mod partner;
mod print;
mod serve;
mod usage;
mod values;
mod variables;
mod verify;

use std::{env, ffi::OsString, io, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use browsers::BrowserArgs;
pub(crate) use database::DatabaseArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use values::{DatabaseUrl, RateLimitArg, TlsArg};

use crate::{
    error::Failure,
    server,
    telemetry::{self, LogFormat},
};

/// Signet Partner Management: users, their status and their audit trail, for business partners.
#[derive(Debug, Parser)]
#[command(name = "signet", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<ServeArgs>),
    Migrate(migrate::MigrateArgs),
    Partner(partner::PartnerArgs),
    Key(key::KeyArgs),
    Backup(backup::BackupArgs),
    Verify(verify::VerifyArgs),
    Openapi(openapi::OpenapiArgs),
}

impl Command {
    /// `warnings` go to the log, or to stderr where the command has no log.
    fn run(self, warnings: &[String]) -> Result<(), Failure> {
        if !matches!(self, Self::Serve(_)) {
            for warning in warnings {
                tell("warning", warning);
            }
        }
        match self {
            Self::Serve(args) => server::run(*args, warnings),
            Self::Migrate(args) => block_on(args.run()),
            Self::Partner(args) => block_on(args.run()),
            Self::Key(args) => block_on(args.run()),
            Self::Backup(args) => args.run(),
            Self::Verify(args) => block_on(args.run()),
            Self::Openapi(args) => args.run(),
        }
    }
}

pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let variables = variables::of_options(&Cli::command());
    let done = match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let set: Vec<OsString> = env::vars_os().map(|(name, _)| name).collect();
            cli.command.run(&variables::warnings(&variables, set.iter().map(OsString::as_os_str)))
        }
        Err(error) => match usage::line(&error) {
            Some(line) => Err(Failure::Usage(line)),
            None => return print_help(&error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = variables::name_sources(&failure.to_string(), &variables, &arguments);
            match log_format(&arguments) {
                LogFormat::Text => tell("error", &text),
                LogFormat::Json => telemetry::log_fatal(LogFormat::Json, &text),
            }
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Runtime(_) => 1,
            })
        }
    }
}

/// Writes a line to stderr. A closed stderr is no reason to panic.
fn tell(kind: &str, text: &str) {
    let line = format!("{kind}: {}\n", print::on_one_line(text));
    let _ = io::Write::write_all(&mut io::stderr(), line.as_bytes());
}

/// The format of the log that was asked for, also where the other arguments make no sense. Only `serve` has a log.
fn log_format(arguments: &[OsString]) -> LogFormat {
    const OPTION: &str = "--log-format";
    let texts: Vec<&str> = arguments.iter().skip(1).map(|argument| argument.to_str().unwrap_or_default()).collect();
    let given = texts.iter().enumerate().rev().find_map(|(at, text)| match text.strip_prefix(OPTION)? {
        "" => texts.get(at + 1).copied(),
        value => value.strip_prefix('='),
    });
    let variable = env::var("SIGNET_LOG_FORMAT").ok();
    match given.or(variable.as_deref()) {
        Some("json") if texts.first() == Some(&"serve") => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

/// Help and version that were asked for, and the help for whoever gave no command.
fn print_help(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime("cannot start the runtime", error))?;
    let done = runtime.block_on(work);
    // A thread that hangs on a frozen database must not keep the process.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_variable_and_a_help_text() {
        fn check(command: &clap::Command) {
            for option in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
                let name = format!("{} --{}", command.get_name(), option.get_long().expect("filtered"));
                if matches!(option.get_id().as_str(), "help" | "version") {
                    continue;
                }
                let variable = option.get_env().unwrap_or_else(|| panic!("{name} has no variable"));
                assert!(variable.to_str().is_some_and(|variable| variable.starts_with("SIGNET_")), "{name}");
                assert!(option.get_help().is_some(), "{name} has no help");
                assert!(option.is_hide_env_values_set(), "{name} would show the variable's value");
            }
            command.get_subcommands().for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        check(&command);
    }
}
