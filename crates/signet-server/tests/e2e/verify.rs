use std::{
    fs::{File, Permissions},
    io::Read,
    os::unix::fs::PermissionsExt,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;

use crate::{
    client::Client,
    database::{Place, on_both},
    program::{Told, run, signet},
};

fn verify(place: &Place, arguments: &[&str]) -> Told {
    run(signet(place.path(), &[&["verify", "--database-url", &place.url()], arguments].concat()))
}

/// Users that were registered, renamed, removed and restored; their ids.
fn lives(client: &Client, number: usize) -> Vec<String> {
    let life = |index: usize| {
        let registered = client.register(&format!("john{index}@example.com"));
        assert_eq!(registered.status, 201, "{}", registered.body);
        let id = registered.body["data"]["userId"].as_str().expect("an id").to_owned();
        for (method, path, body) in [
            ("PATCH", "update-user", json!({"userId": id, "name": "Jack", "metadata": {"plan": "gold"}})),
            ("DELETE", "remove-user", json!({"userId": id})),
            ("PATCH", "update-user", json!({"userId": id, "status": "active"})),
        ] {
            assert_eq!(client.send(method, &format!("/partner/v1/{path}"), &body).status, 200);
        }
        id
    };
    (0..number).map(life).collect()
}

on_both! {
    fn a_history_rebuilds_its_users(place: &Place) {
        let (mut server, client) = place.service();
        lives(&client, 3);
        place.partner();
        let told = verify(place, &[]);
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
        assert_eq!(told.out, "The audit trail rebuilds every user (partners: 2, users: 3, entries: 12).\n");
        server.stop();
        let told = verify(place, &["--json"]);
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
        assert_eq!(told.out, "{\"differences\":[],\"partners\":2,\"users\":3,\"entries\":12}\n");
    }

    fn whatever_was_tampered_with_is_told_by_its_id(place: &Place) {
        let partner = place.partner();
        let mut server = place.serve(&[]);
        let ids = lives(&server.client(&partner.key), 9);
        server.stop();
        let (rebuilds, starts) = (
            "its trail rebuilds another state than its row",
            "its trail has an entry that starts from something else than the one before it left",
        );
        let mut expected = Vec::new();
        for (index, tamper, reason) in [
            (1, "UPDATE users SET name = 'Jane' WHERE user_id = ID", rebuilds),
            (2, "UPDATE users SET metadata = '{\"plan\":\"tin\"}' WHERE user_id = ID", rebuilds),
            (3, "DELETE FROM audit_entries WHERE user_id = ID AND version = 4", rebuilds),
            (
                4,
                "DELETE FROM audit_entries WHERE user_id = ID AND version = 2",
                "its trail has an entry that is missing or out of order",
            ),
            (5, "UPDATE audit_entries SET changes = replace(changes, 'Jack', 'Jane') WHERE user_id = ID", rebuilds),
            (
                6,
                "UPDATE audit_entries SET changes = replace(changes, 'John', 'Jane') WHERE user_id = ID AND version = 1",
                starts,
            ),
            (7, "DELETE FROM audit_entries WHERE user_id = ID", "its trail has no entries"),
            (8, "DELETE FROM users WHERE user_id = ID", "has entries and no row"),
        ] {
            place.tamper(&tamper.replace("ID", &place.sql_id(&ids[index])));
            expected.push(format!("partner {}, user {}: {reason}", partner.id, ids[index]));
        }
        expected.insert(7, format!("partner {}: 9 users were registered, and 8 are there", partner.id));
        let told = verify(place, &[]);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert_eq!(told.err, "error: the audit trail tells another story than the users: 9 differences\n");
        assert_eq!(told.out.lines().collect::<Vec<_>>(), expected);

        let told = verify(place, &["--json"]);
        assert_eq!((told.code, told.out.lines().count()), (Some(1), 1), "{told:?}");
        let report: serde_json::Value = serde_json::from_str(&told.out).expect("JSON");
        let differences = report["differences"].as_array().expect("differences");
        assert_eq!((differences.len(), &report["users"]), (9, &json!(8)));
        assert_eq!(differences[0], json!({"partnerId": partner.id, "userId": ids[1], "reason": rebuilds}));
        assert_eq!(differences[7].get("userId"), None);
    }

    fn what_lacks_its_schema_is_not_verified_nor_changed(place: &Place) {
        if place.url().starts_with("sqlite:") {
            let told = verify(place, &[]);
            assert_eq!((told.code, told.out.as_str()), (Some(1), ""));
            assert_eq!(told.err, "error: there is no database sqlite://signet.db; signet serve, migrate and partner create make one\n");
            let file = File::create(place.path().join("signet.db")).expect("an empty file");
            file.set_permissions(Permissions::from_mode(0o600)).expect("an own file");
        }
        for _ in 0..2 {
            let told = verify(place, &[]);
            assert_eq!((told.code, told.out.as_str(), told.err.lines().count()), (Some(1), "", 1), "{told:?}");
            assert!(told.err.contains("migrations"), "{told:?}");
        }
    }
}

#[test]
fn a_terminal_is_shown_how_far_it_is() {
    let place = Place::sqlite();
    let (_server, client) = place.service();
    lives(&client, 3);
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&screen).and_then(|()| unlockpt(&screen)).expect("an own terminal");
    let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let name = ptsname(&screen, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let terminal = File::options().read(true).write(true).open(name).expect("a terminal");
    tcsetwinsize(&terminal, size).expect("an own terminal");
    let mut command = signet(place.path(), &["verify", "--database-url", &place.url()]);
    command.env("TERM", "xterm").stderr(terminal);
    let told = run(command);
    assert_eq!(told.out, "The audit trail rebuilds every user (partners: 1, users: 3, entries: 12).\n");
    let (mut shown, mut screen) = (Vec::new(), File::from(screen));
    // The end of a terminal is an error.
    let _ = screen.read_to_end(&mut shown);
    let shown = String::from_utf8(shown).expect("UTF-8");
    assert!(shown.contains("% of 6 steps"), "{shown:?}");
}
