//! Finds Postgres's programs, and the user that may run them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const MINIMUM_MAJOR: u32 = 14;

const WHAT_TO_DO: &str = "no PostgreSQL 14 or later found: install it (on Debian: `apt-get install postgresql`), \
    or set TEST_DATABASE_URL to a server on which databases may be created";

/// The folder that holds `initdb` and `postgres`, of version 14 or later: on the `PATH`, else the newest of Debian's.
pub(crate) fn server_directory() -> PathBuf {
    directory_with("initdb").unwrap_or_else(|| panic!("{WHAT_TO_DO}"))
}

/// The `psql` to reach a server with.
pub(crate) fn psql() -> PathBuf {
    directory_with("psql").unwrap_or_else(|| panic!("{WHAT_TO_DO}")).join("psql")
}

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
        .find(|directory| directory.join(program).is_file() && is_recent(&directory.join(program)))
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
