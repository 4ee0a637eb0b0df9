//! Whatever outsiders write is found where it belongs, and nowhere else.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};
use signet_domain::{ApiKeyId, ApiKeyToken, Secret};
use signet_testkit::Lines;

use crate::{
    database::{Place, on_both},
    outsider::{Answer, Outsider},
    program::{run, signet},
};

/// Begins what belongs to users and their trail.
const PERSONAL: &str = "personalcanary";
/// Begins what belongs nowhere.
const FLEETING: &str = "fleetingcanary";
/// The same, with all of `HOSTILE` that a URL can hold.
const ENCODED: &str =
    "fleetingcanary%0D%0A%7B%22level%22:%22INFO%22%7D%0D%0A%1B%5B31m%00%C2%9B%E2%80%A8%E2%80%AE%22%5C";
/// Begins the names of partners and keys.
const OPERATOR: &str = "operatorcanary";
/// An id of a request, which belongs to the log and to the trail.
const TRACED: &str = "traced-canary";
/// A password.
const BASIC: &str = "Y2FuYXJ5OmNhbmFyeSdzIHNlY3JldA";
/// Goes on as a line of the log, in both formats, and as orders to a terminal.
const HOSTILE: &str = "\r\n{\"timestamp\":\"2026-01-01T00:00:00.000000Z\",\"level\":\"INFO\",\"message\":\"request\"}\r\n\
    2026-01-01T00:00:00.000000Z  INFO request request_id=\"1\"\r\n\u{1b}[31m\u{9b}1m\u{7f}\u{2028}\u{202e}\u{2066}\"'\\";
/// What of that names may hold, and headers.
const QUIET: &str = "\u{2028}\u{202e}\u{2066}\"'\\";

/// What is written into the database before anybody comes.
struct Keys {
    good: String,
    /// With the id of the good one, and with an id that there is not.
    wrong: [String; 2],
    /// All that nobody may find.
    secrets: Vec<String>,
}

impl Keys {
    fn create(place: &Place) -> Self {
        let partner = place.json(&["partner", "create", "--name", &format!("{OPERATOR}{QUIET}")]);
        let id = partner["partnerId"].as_str().expect("an id");
        let key = place.json(&["key", "create", "--partner", id, "--name", &format!("{OPERATOR}{QUIET}")]);
        let good = ApiKeyToken::parse(key["apiKey"].as_str().expect("a key")).expect("a key");
        let secret = Secret::parse("WrongCanaryWrongCanaryWrongCanar").expect("letters");
        let wrong = ApiKeyToken { secret, ..good.clone() };
        let unknown = ApiKeyToken { id: ApiKeyId::parse("UnknownCanary123").expect("letters"), ..wrong.clone() };
        let secrets = [good.secret.expose(), wrong.secret.expose(), BASIC].map(str::to_owned).to_vec();
        Self { good: good.expose(), wrong: [wrong.expose(), unknown.expose()], secrets }
    }

    fn assert_absent(&self, text: &str) {
        for secret in &self.secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

/// A client that notes what it is answered.
struct Writer<'a> {
    outsider: Outsider<'a>,
    keys: &'a Keys,
    answers: Vec<Answer>,
}

impl Writer<'_> {
    fn ask(&mut self, status: u16, target: &str, headers: &str, body: &str) -> Value {
        let answer = self.outsider.ask(target, headers, body);
        assert_eq!(answer.status, status, "{target:?} {headers:?} {body:?}: {answer:?}");
        let json = serde_json::from_str(&answer.body).expect("JSON");
        self.answers.push(answer);
        json
    }

    /// As somebody who is let in.
    fn ask_known(&mut self, status: u16, target: &str, headers: &str, body: &str) -> Value {
        let headers = format!("Authorization: Bearer {}\r\n{headers}", self.keys.good);
        self.ask(status, target, &headers, body)
    }

    fn send(&mut self, status: u16, target: &str, body: &str) -> Value {
        self.ask_known(status, target, &format!("Content-Type: application/json\r\nX-Request-Id: {TRACED}\r\n"), body)
    }

    /// The number keeps the addresses of several runs apart.
    fn write_bodies(&mut self, number: usize) {
        let register = "POST /partner/v1/register-user";
        let email = format!("{PERSONAL}{number}'{{é}}@example.com");
        let user = json!({
            "name": format!("{PERSONAL}{QUIET}"),
            "email": email,
            "metadata": {
                format!("{PERSONAL}\r\n\u{1b}[31m{QUIET}"): [format!("{PERSONAL}{HOSTILE}"), { format!("{PERSONAL}{HOSTILE}"): 1 }],
            },
        });
        let registered = self.send(201, register, &user.to_string());
        let id = &registered["data"]["userId"];
        for (status, body) in [
            (409, user),
            (400, json!({ "name": format!("{FLEETING}{HOSTILE}"), "email": "john@example.com" })),
            (400, json!({ "name": "John Doe", "email": format!("{FLEETING}{HOSTILE}@example.com") })),
            (400, json!({ "name": "John Doe", "email": format!("{FLEETING}{QUIET}@example.com") })),
            (400, json!({ "name": "John Doe", "email": "john@example.com", "metadata": { FLEETING: "\0" } })),
            (400, json!({ "name": FLEETING, "email": "john@example.com", format!("{FLEETING}{HOSTILE}"): FLEETING })),
            (400, json!({ "name": FLEETING, "email": "john@example.com", &self.keys.good: FLEETING })),
            (400, json!({ "name": FLEETING.repeat(1_000), "email": FLEETING.repeat(1_000) })),
            (413, json!({ "name": FLEETING.repeat(6_000) })),
            (400, json!([self.keys.good, FLEETING])),
        ] {
            self.send(status, register, &body.to_string());
        }
        self.send(400, register, &format!("{{\"name\": \"{FLEETING}{HOSTILE}"));
        let (update, remove) = ("PATCH /partner/v1/update-user", "DELETE /partner/v1/remove-user");
        self.send(200, update, &json!({ "userId": id, "name": format!("{PERSONAL}'s other name") }).to_string());
        let other = format!("{PERSONAL}{number}.other@example.com");
        self.send(201, register, &json!({ "name": "John Doe", "email": other }).to_string());
        self.send(409, update, &json!({ "userId": id, "email": other }).to_string());
        self.send(400, update, &json!({ "userId": format!("{FLEETING}{HOSTILE}"), "status": FLEETING }).to_string());
        self.send(400, remove, &json!({ "userId": format!("{FLEETING}{HOSTILE}") }).to_string());
        self.send(200, remove, &json!({ "userId": id }).to_string());
        let good = &self.keys.good;
        self.send(400, register, &format!("{{\"{good}\": 1, \"{good}\": 2}}"));
        self.send(400, register, &format!("{{\"name\": {FLEETING}{QUIET}}}"));
        self.send(400, register, &format!("{{\"name\": \"{FLEETING}\\ud800\"}}"));
        let json = "Content-Type: application/json";
        for label in [
            "Content-Type: ",
            "Content-Type: text/",
            &format!("{json}; charset="),
            &format!("{json}\r\nContent-Encoding: "),
        ] {
            self.ask_known(415, register, &format!("{label}{FLEETING}\r\n"), "{}");
            self.ask_known(415, register, &format!("{label}{FLEETING}{QUIET}\r\n"), "{}");
        }
    }

    fn write_targets(&mut self) {
        let Keys { good, .. } = self.keys;
        for query in ["all-users?limit", "all-users?offset", "all-users?limit=1&limit", "get-user?userId"]
            .into_iter()
            .chain(["audit-trail?userId", "audit-trail?action", "audit-trail?cursor", "all-users?key"])
        {
            for value in [ENCODED, good] {
                self.ask_known(400, &format!("GET /partner/v1/{query}={value}"), "", "");
            }
        }
        for (status, target) in [
            (400, format!("GET /partner/v1/all-users?{ENCODED}")),
            (400, format!("GET /partner/v1/all-users?{good}")),
            (404, format!("GET /partner/v1/{ENCODED}")),
            (404, format!("GET /docs/{ENCODED}")),
            (404, format!("GET /{good}?{ENCODED}={good}")),
            (404, format!("GET http://{FLEETING}/{ENCODED}")),
            (405, format!("{FLEETING} /partner/v1/all-users")),
            // From here on it is no HTTP.
            (400, format!("{FLEETING}\u{1b}[31m /docs")),
            (400, format!("GET /{FLEETING}\u{1b}[31m")),
            (400, format!("GET /{FLEETING}\0{good}")),
            (400, format!("GET /{FLEETING}{QUIET}")),
            (400, format!("GET /?{}", FLEETING.repeat(15_000))),
        ] {
            self.ask_known(status, &target, "", "");
        }
    }

    fn write_headers(&mut self) {
        let target = "GET /partner/v1/all-users?limit=1";
        for name in ["X-Request-Id", "X-Forwarded-For", "Forwarded", "User-Agent", "Referer", "Cookie", "X-Canary"]
            .into_iter()
            .chain([
                "Accept",
                "Accept-Encoding",
                "Origin",
                "If-None-Match",
                "Expect",
                "Upgrade",
                "Connection",
                FLEETING,
            ])
        {
            self.ask_known(200, target, &format!("{name}: {FLEETING}{QUIET}\r\n"), "");
            for forbidden in ["\0", "\u{1b}[31m", "\rX: X", "\u{7f}"] {
                self.ask_known(400, target, &format!("{name}: {FLEETING}{forbidden}\r\n"), "");
            }
        }
        let Keys { good, .. } = self.keys;
        for name in ["Content-Length", "Transfer-Encoding", "Host"] {
            for value in [good, FLEETING, &format!("{FLEETING}{QUIET}")] {
                self.ask_known(400, target, &format!("{name}: {value}\r\n"), "");
            }
        }
        for value in [good, FLEETING] {
            self.ask_known(400, target, &format!("X-HTTP-Method-Override: {value}\r\n"), "");
        }
        self.ask_known(200, target, &format!("X-Request-Id: {TRACED}\r\n"), "");
        self.ask_known(200, target, &format!("X-Request-Id: {good}\r\n"), "");
    }

    fn write_credentials(&mut self) {
        let target = "GET /partner/v1/all-users";
        let Keys { good, wrong: [wrong, unknown], .. } = self.keys;
        for credentials in [
            format!("Authorization: Bearer {wrong}"),
            format!("Authorization: Bearer {unknown}"),
            format!("Authorization: Bearer {good}X"),
            format!("Authorization: Bearer {good}{FLEETING}{QUIET}"),
            format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {wrong}"),
            format!("Authorization: Basic {BASIC}"),
            format!("Authorization: Digest username=\"{FLEETING}{QUIET}\", response=\"{BASIC}\""),
            format!("Proxy-Authorization: Bearer {good}\r\nX-Api-Key: {good}\r\nCookie: key={good}"),
        ] {
            self.ask(401, target, &format!("{credentials}\r\n"), "");
        }
        self.ask(400, target, &format!("Authorization: Bearer {good}\u{1b}[31m\r\n"), "");
    }
}

/// No answer holds a secret, and a refusal nothing of the request but the names of fields.
fn assert_tells_nothing(answer: &Answer, keys: &Keys) {
    keys.assert_absent(&answer.head);
    keys.assert_absent(&answer.body);
    let mut body: Value = serde_json::from_str(&answer.body).expect("JSON");
    for detail in body["error"]["details"].as_array_mut().into_iter().flatten() {
        detail["field"] = Value::Null;
    }
    let told = format!("{}{body}", answer.head).to_lowercase();
    assert!(!told.contains(FLEETING), "{answer:?}");
    assert!(answer.status < 400 || !(told.contains(PERSONAL) || told.contains(OPERATOR)), "{answer:?}");
}

/// Each line is one event, nothing in it comes from outside but the id, and as many requests are told, or counted, as there were.
fn assert_log(lines: &[String], format: &str, answers: &[Answer], keys: &Keys) {
    for line in lines {
        let low = line.to_lowercase();
        assert!(![PERSONAL, FLEETING, OPERATOR].iter().any(|mark| low.contains(mark)), "{line}");
        assert!(
            !line.contains(|char: char| char.is_control() || "\u{2028}\u{202e}\u{2066}".contains(char)),
            "{line:?}"
        );
        keys.assert_absent(line);
        let event: Option<BTreeMap<String, Value>> = serde_json::from_str(line).ok();
        let time = match &event {
            Some(event) => event["timestamp"].as_str().expect("a time"),
            None => line.split(' ').next().expect("a word"),
        };
        assert_eq!((event.is_some(), time.len(), time.ends_with('Z')), (format == "json", 27, true), "{line}");
    }
    let are = |wanted: &str| lines.iter().filter(|line| line.contains(wanted)).count();
    let written = are(if format == "json" { "\"message\":\"request\"" } else { "Z  INFO request " });
    let left_out = lines.iter().filter_map(|line| {
        let (_, rest) = line.split_once(if format == "json" { "\"suppressed\":" } else { " suppressed=" })?;
        rest.split(|char: char| !char.is_ascii_digit()).next()?.parse::<usize>().ok()
    });
    assert_eq!(written + left_out.sum::<usize>(), answers.len(), "each request is told, or counted as left out");
    assert_eq!(are(TRACED), answers.iter().filter(|answer| answer.head.contains(TRACED)).count());
}

/// The tables in whose rows the text stands.
fn holders<'a>(tables: &'a BTreeMap<String, String>, text: &str) -> Vec<&'a str> {
    let holds = |rows: &str| rows.contains(text) || rows.to_lowercase().contains(text);
    tables.iter().filter(|(_, rows)| holds(rows)).map(|(name, _)| name.as_str()).collect()
}

on_both! {
    fn what_outsiders_write_is_stored_where_it_belongs_and_logged_nowhere(place: &Place) {
        let keys = Keys::create(place);
        for (number, (format, filter)) in
            [("json", &[][..]), ("text", &[]), ("json", &["--log", "trace"]), ("text", &["--log", "trace"])].into_iter().enumerate()
        {
            let mut server = place.serve(&[&["--log-format", format, "--max-connections", "100"], filter].concat());
            let mut writer = Writer { outsider: Outsider::new(&server), keys: &keys, answers: Vec::new() };
            writer.write_bodies(number);
            writer.write_targets();
            writer.write_headers();
            writer.write_credentials();
            let answers = writer.answers;
            for path in ["/fleetingcanary", "/livez?fleetingcanary", "/metrics/fleetingcanary"] {
                assert!(!server.ask(path).1.contains(FLEETING));
            }
            for answer in &answers {
                assert_tells_nothing(answer, &keys);
            }
            let metrics = server.ask("/metrics").1;
            assert!(!metrics.to_lowercase().contains("canary"), "{metrics}");
            keys.assert_absent(&metrics);
            let counted = metrics.lines().filter(|line| line.starts_with("http_requests_total{"));
            let counted = counted.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<usize>().ok()));
            assert_eq!(counted.sum::<Option<usize>>(), Some(answers.len()), "{metrics}");
            // All of the database that is on the disk, also what no table shows any more, while it is in use.
            for file in fs::read_dir(place.path()).expect("readable").map(|entry| entry.expect("readable").path()) {
                if file.is_file() {
                    let bytes = fs::read(&file).expect("readable");
                    let text = String::from_utf8_lossy(&bytes);
                    keys.assert_absent(&text);
                    assert!(!text.contains(FLEETING), "{}", file.display());
                }
            }
            assert!(server.stop().success());
            assert_eq!(server.out.all(), [Lines::END]);
            let log = server.log.all();
            let (end, lines) = log.split_last().expect("an end");
            assert_eq!(end, Lines::END);
            assert_log(lines, format, &answers, &keys);
            if filter.is_empty() {
                let is_of_requests = |line: &&String| line.contains("latency_us") || line.contains("suppressed");
                let others: Vec<_> = lines.iter().filter(|line| !is_of_requests(line)).collect();
                assert_eq!(others.len(), 4, "two that listen, one that stops, one that has stopped: {others:#?}");
            }
        }
        let tables = place.tables();
        assert_eq!(holders(&tables, PERSONAL), ["audit_entries", "users"]);
        assert_eq!(holders(&tables, OPERATOR), ["api_keys", "audit_entries", "partners"]);
        assert_eq!(holders(&tables, TRACED), ["audit_entries"]);
        assert_eq!(holders(&tables, "$argon2id$"), ["api_keys"]);
        for text in keys.secrets.iter().map(String::as_str).chain([FLEETING]) {
            assert_eq!(holders(&tables, text), [""; 0], "{text}");
        }
        let told = run(signet(place.path(), &["verify", "--database-url", &place.url()]));
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
        assert!(!told.out.contains("canary"), "{told:?}");
        for line in place.server_log() {
            assert!(!line.to_lowercase().contains("canary"), "{line}");
            keys.assert_absent(&line);
        }
    }

    fn a_key_is_told_once_and_no_command_obeys_what_it_quotes(place: &Place) {
        let keys = Keys::create(place);
        let url = place.url();
        let tell = |arguments: &[&str]| run(signet(place.path(), &[arguments, &["--database-url", &url]].concat()));
        let partners = place.json(&["partner", "list"]);
        let partner = partners["partners"][0]["partnerId"].as_str().expect("an id");
        let key_id = keys.good.split('_').nth(2).expect("an id");
        for arguments in [
            &["key", "list", "--partner", partner][..],
            &["partner", "list"],
            &["partner", "disable", partner],
            &["partner", "enable", partner],
            &["key", "revoke", key_id],
            &["key", "revoke", key_id],
            &["verify"],
        ] {
            for json in [&[][..], &["--json"]] {
                let told = tell(&[arguments, json].concat());
                assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
                assert!(!told.out.contains(|char: char| char.is_control() && char != '\n'), "{told:?}");
                keys.assert_absent(&told.out);
            }
        }
        let option = format!("--{FLEETING}{HOSTILE}");
        let missing = format!("sqlite://{FLEETING}{HOSTILE}");
        for arguments in [
            &["partner", "create", "--name", HOSTILE][..],
            &["key", "create", "--partner", partner, "--name", HOSTILE],
            &["key", "create", "--partner", HOSTILE, "--name", "CI"],
            &["key", "revoke", HOSTILE],
            &["key", "revoke", &keys.good],
            &["key", "revoke", key_id, &keys.good],
            &["verify", &keys.good],
            &["verify", &option],
            &["serve", "--listen", HOSTILE],
            &["serve", "--trusted-proxy", &keys.good],
            &[HOSTILE],
        ] {
            let told = tell(arguments);
            assert_eq!((told.code, told.out.as_str()), (Some(2), ""), "{told:?}");
            assert_is_one_line(&told.err, &keys);
        }
        let told = run(signet(place.path(), &["verify", "--database-url", &missing]));
        assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{told:?}");
        assert_is_one_line(&told.err, &keys);

        let tables = place.tables();
        assert_eq!(holders(&tables, OPERATOR), ["api_keys", "partners"]);
        assert_eq!(holders(&tables, &keys.secrets[0]), [""; 0]);
    }
}

fn assert_is_one_line(told: &str, keys: &Keys) {
    let line = told.strip_suffix('\n').expect("a line");
    assert!(line.starts_with("error: ") && !line.contains(char::is_control), "{told:?}");
    keys.assert_absent(line);
}
