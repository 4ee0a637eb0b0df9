//! Environment variables, and secrets in files.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::{
    database::{Place, on_both},
    program::{Server, Told, run, signet},
};

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("an own file");
}

/// The one line of a `serve` that ends at once.
fn fatal(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> Told {
    let mut command = signet(place.path(), &["serve"]);
    command.args(arguments).envs(variables.iter().copied());
    let told = run(command);
    assert_eq!((told.out.as_str(), told.err.lines().count()), ("", 1), "{told:?}");
    told
}

#[test]
fn refusal_names_where_the_value_came_from() {
    let place = Place::sqlite();
    let bad = ("SIGNET_RATE_LIMIT", "0");
    let from_variable = fatal(&place, &[bad], &[]);
    assert!(from_variable.err.starts_with("error: SIGNET_RATE_LIMIT: must be requests"), "{from_variable:?}");
    let from_option = fatal(&place, &[bad], &["--rate-limit", "s3cret"]);
    assert!(from_option.err.starts_with("error: --rate-limit <RATE>: must be"), "{from_option:?}");
    let exposed = fatal(&place, &[("SIGNET_DATABASE_URL", "postgres://u:s3cret@192.0.2.1/d")], &[]);
    assert!(exposed.err.starts_with("error: SIGNET_DATABASE_URL: without verified TLS"), "{exposed:?}");
    assert!(exposed.err.contains("--allow-unverified-database"), "{exposed:?}");
}

#[test]
fn unknown_variable_is_warned_about_by_every_command() {
    let place = Place::sqlite();
    let mut command = signet(place.path(), &["partner", "create", "--name", "Acme"]);
    command.env("SIGNET_DATABASE_URI", "sqlite://other.db").env("SIGNET_PORT", "tcp://10.0.0.1:4401");
    let told = run(command);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(
        told.err,
        "warning: the variable SIGNET_DATABASE_URI is unknown and has no effect; did you mean SIGNET_DATABASE_URL?\n"
    );
    let mut command = signet(place.path(), &["serve"]);
    command.env("SIGNET_LISTN", "127.0.0.1:1");
    let server = Server::from(place.path(), command);
    let warning =
        server.event(0, "the variable SIGNET_LISTN is unknown and has no effect; did you mean SIGNET_LISTEN?");
    assert_eq!(warning["level"], "WARN");
}

#[test]
fn fatal_error_is_json_where_the_log_is() {
    let place = Place::sqlite();
    let as_json = |told: &Told| -> Value { serde_json::from_str(&told.err).unwrap_or_else(|_| panic!("{told:?}")) };
    for (variables, arguments, code, message) in [
        (&[][..], &["--log-format", "json", "--listen", "here"][..], 2, "--listen <ADDRESS>: must be"),
        (&[], &["--log-format=json", "--nonsense"], 2, "there is no option --nonsense"),
        (&[("SIGNET_LOG_FORMAT", "json")], &["--log", "inof"], 2, "--log <FILTER>: must be a level"),
        (&[("SIGNET_LOG_FORMAT", "json")], &["--tls", "off", "--listen", "0.0.0.0:0"], 2, "--tls off: plain HTTP"),
        (
            &[("SIGNET_LOG_FORMAT", "json")],
            &["--management-listen", "192.0.2.1:1", "--management-is-private", "--log", "error"],
            1,
            "cannot listen on 192.0.2.1:1: ",
        ),
    ] {
        let told = fatal(&place, variables, arguments);
        let line = as_json(&told);
        assert_eq!((told.code, &line["level"]), (Some(code), &"ERROR".into()), "{told:?}");
        assert!(line["message"].as_str().is_some_and(|found| found.starts_with(message)), "{told:?}");
        assert!(line["timestamp"].is_string(), "{told:?}");
    }
    let told = fatal(&place, &[("SIGNET_LOG_FORMAT", "json")], &["--log-format", "text", "--nonsense"]);
    assert!(told.err.starts_with("error: "), "an option counts more: {told:?}");
}

on_both! {
    fn database_url_is_read_from_a_file(place: &Place) {
        let file = place.path().join("url");
        write(&file, &format!("{}\n", place.url()), 0o600);
        let arguments = ["--database-url-file", "url"];
        let created = run(signet(place.path(), &[&["partner", "create", "--name", "Acme"], &arguments[..]].concat()));
        assert_eq!((created.code, created.err.as_str()), (Some(0), ""), "{created:?}");
        let mut command = signet(place.path(), &["partner", "list"]);
        let listed = run({ command.env("SIGNET_DATABASE_URL_FILE", "url"); command });
        assert!(listed.out.contains("Acme"), "{listed:?}");
        assert_eq!(Server::start(place.path(), &arguments).ask("/readyz").0, 200);

        write(&file, &place.url(), 0o644);
        let told = run(signet(place.path(), &[&["partner", "list"], &arguments[..]].concat()));
        assert_eq!((told.code, told.err.lines().count()), (Some(1), 1), "{told:?}");
        assert!(told.err.contains("can read url; chmod 600 url"), "{told:?}");
        let allowed = [&["partner", "list", "--allow-readable-database"], &arguments[..]].concat();
        assert_eq!(run(signet(place.path(), &allowed)).code, Some(0));
    }
}

#[test]
fn file_without_a_usable_url_is_refused_without_showing_it() {
    let place = Place::sqlite();
    write(&place.path().join("url"), "mysql://u:s3cret@h/d", 0o600);
    for (arguments, expected) in [
        (&["--database-url-file", "url"][..], "--database-url-file <FILE>: the URL in it is not valid: must start"),
        (&["--database-url-file", "none"], "--database-url-file <FILE>: cannot read the file: No such file"),
        (&["--database-url-file", "url", "--database-url", "sqlite://a.db"], "--database-url"),
    ] {
        let told = fatal(&place, &[], arguments);
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.err.starts_with(&format!("error: {expected}")) && !told.err.contains("s3cret"), "{told:?}");
    }
    write(&place.path().join("url"), "sqlite://a.db", 0o600);
    let told = fatal(&place, &[("SIGNET_DATABASE_URL_FILE", "url")], &["--database-url", "sqlite://b.db"]);
    assert!(told.err.contains("SIGNET_DATABASE_URL_FILE") && told.err.contains("--database-url"), "{told:?}");
}

#[test]
fn database_that_everybody_can_read_is_refused_unless_allowed() {
    let place = Place::sqlite();
    place.partner();
    let path = place.path().join("signet.db");
    let list = |arguments: &[&str]| run(signet(place.path(), &[&["partner", "list"], arguments].concat()));
    let log = place.path().join("signet.db-wal");
    for readable in [&path, &log] {
        write(&log, "", 0o600);
        fs::set_permissions(readable, fs::Permissions::from_mode(0o644)).expect("an own file");
        let told = list(&[]);
        let name = readable.file_name().and_then(|name| name.to_str()).expect("a name");
        assert_eq!((told.code, told.err.lines().count()), (Some(1), 1), "{told:?}");
        assert!(told.err.contains("chmod 600") && told.err.contains(name), "{told:?}");
        assert_eq!(list(&["--allow-readable-database"]).code, Some(0));
        let refused = run(signet(place.path(), &["backup", "copy.db"]));
        // The command before may have removed the empty log.
        assert_eq!(refused.code, Some(i32::from(readable.exists())), "{refused:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("an own file");
        let _ = fs::remove_file(place.path().join("copy.db"));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("an own file");
    let server = place.serve(&["--allow-readable-database"]);
    let warning = server.event(0, "every user of this machine can read the database");
    assert_eq!((&warning["level"], &warning["option"]), (&"WARN".into(), &"--allow-readable-database".into()));
}
