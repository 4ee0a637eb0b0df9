//! Signet Partner Management as one program: its command line, and the wiring of everything that the other crates
//! offer. Nothing else knows everything.
#![deny(missing_docs)]

mod backend;
mod cli;
mod demo;
mod error;
mod management;
mod server;
mod signals;
mod system;
mod telemetry;
mod tls;

use std::{ffi::OsString, process::ExitCode};

/// Runs the program with these arguments, the first of which is its name, and the environment.
///
/// The exit code is 0 for success, 2 for arguments or variables that make no sense, and 1 for everything else that
/// failed. What failed is told on stderr, in one line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(arguments)
}
