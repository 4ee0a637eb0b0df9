//! Finds Postgres's programs, and the user that may run them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const MINIMUM_MAJOR: u32 = 14;

/// Names the only folder in which to look for the programs of a server.
const ONLY_DIRECTORY: &str = "TEST_POSTGRES_BIN";

/// The folder that holds `initdb` and `postgres`, of version 14 or later: the one that `TEST_POSTGRES_BIN` names, else
/// on the `PATH`, else the newest of Debian's.
pub(crate) fn server_directory() -> Option<PathBuf> {
    match env::var_os(ONLY_DIRECTORY) {
        Some(only) => Some(PathBuf::from(only)).filter(|directory| has_recent(directory, "initdb")),
        None => directory_with("initdb"),
    }
}

/// The `psql` to reach a server with.
pub(crate) fn psql() -> &'static Path {
    static PSQL: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PSQL.get_or_init(|| Some(directory_with("psql")?.join("psql")));
    found.as_deref().unwrap_or_else(|| panic!("no psql of PostgreSQL 14 or later found: {INSTALL}"))
}

/// A program that comes with Postgres and talks to a server, such as `pg_dump`, without the variables of this machine
/// that could lead it to another one.
///
/// # Panics
/// Where it is not installed, with a line that says what to do.
#[must_use]
pub fn tool(name: &str) -> Command {
    let directory = directory_with(name);
    let directory = directory.unwrap_or_else(|| panic!("no {name} of PostgreSQL 14 or later found: {INSTALL}"));
    let mut command = Command::new(directory.join(name));
    for (variable, _) in env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("PG")) {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C");
    command
}

/// How to get Postgres.
pub(crate) const INSTALL: &str = "install it (on Debian: `apt-get install postgresql`)";

fn directory_with(program: &str) -> Option<PathBuf> {
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let mut of_debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    of_debian.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    on_path
        .into_iter()
        .chain(of_debian.into_iter().map(|(_, directory)| directory))
        // Debian puts a wrapper of psql, and not initdb, on the path; its own version check tells nothing about servers.
        .find(|directory| has_recent(directory, program))
}

fn has_recent(directory: &Path, program: &str) -> bool {
    let program = directory.join(program);
    program.is_file() && is_recent(&program)
}

fn is_recent(program: &Path) -> bool {
    let Ok(output) = Command::new(program).arg("--version").output() else { return false };
    // `initdb (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)`
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .find_map(|word| word.split('.').next()?.parse::<u32>().ok())
        .is_some_and(|major| major >= MINIMUM_MAJOR)
}

/// Postgres refuses to run as root: the user id and group id to take instead, or `None` for an ordinary user.
pub(crate) fn unprivileged_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |flag: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    Some(id("-u").zip(id("-g")).expect("PostgreSQL does not run as root and there is no user `postgres` to run it as"))
}
