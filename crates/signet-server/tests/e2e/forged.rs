use serde_json::json;
use signet_faults::faults::FORGED_ADDRESSES;

use crate::{
    database::{Place, on_both},
    outsider::Outsider,
};

on_both! {
    fn nobody_writes_the_address_of_the_audit_but_a_trusted_proxy(place: &Place) {
        let key = place.partner().key;
        // Whom the service trusts, what a proxy adds to what its client wrote, and whose address that makes it.
        for (number, (arguments, added, expected)) in [
            (&[][..], "", "127.0.0.1"),
            (&["--trusted-proxy", "10.0.0.0/8,::1"], ", 203.0.113.7", "127.0.0.1"),
            (&["--trusted-proxy", "127.0.0.1"], ", 203.0.113.7", "203.0.113.7"),
            (&["--trusted-proxy", "127.0.0.0/8,10.0.0.0/8"], ", 2001:db8::7 , 10.0.0.1", "2001:db8::7"),
            (&["--trusted-proxy", "127.0.0.1"], "\r\nx-forwarded-for: 203.0.113.7", "203.0.113.7"),
            (&["--trusted-proxy", "127.0.0.1"], ", 203.0.113.7:4711", "203.0.113.7"),
            (&["--trusted-proxy", "127.0.0.1"], ", [2001:db8::7]:443", "2001:db8::7"),
            (&["--trusted-proxy", "127.0.0.1"], ", unknown", "127.0.0.1"),
        ].into_iter().enumerate() {
            let server = place.serve(arguments);
            let outsider = Outsider::new(&server);
            for (index, forged) in FORGED_ADDRESSES.iter().enumerate() {
                let headers = format!(
                    "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nConnection: X-Forwarded-For\r\n\
                     X-Real-IP: 203.0.113.99\r\nForwarded: for=203.0.113.99\r\nX-Forwarded-For: {forged}{added}\r\n",
                );
                let user = json!({ "name": "John Doe", "email": format!("john{number}.{index}@example.com") });
                let answer = outsider.ask("POST /partner/v1/register-user", &headers, &user.to_string());
                assert_eq!(answer.status, 201, "{forged:?}: {answer:?}");
            }
            let page = format!("/partner/v1/audit-trail?limit={}", FORGED_ADDRESSES.len());
            let trail = server.client(&key).get(&page).body;
            for entry in trail["data"]["entries"].as_array().expect("entries") {
                assert_eq!(entry["ipAddress"], expected, "{arguments:?}, {added:?}: {entry}");
            }
        }
    }
}

#[test]
fn a_proxy_that_sends_no_address_is_logged_once_and_not_repeated() {
    let place = Place::sqlite();
    let mut server = place.serve(&["--trusted-proxy", "127.0.0.1", "--log", "trace"]);
    let key = place.partner().key;
    let outsider = Outsider::new(&server);
    for _ in 0..3 {
        let headers = format!("Authorization: Bearer {key}\r\nX-Forwarded-For: 203.0.113.7, canary.example\r\n");
        assert_eq!(outsider.ask("GET /partner/v1/all-users", &headers, "").status, 200);
    }
    assert!(server.stop().success());
    let lines = server.log.all();
    assert!(lines.iter().all(|line| !line.contains("canary") && !line.contains("203.0.113.7")), "{lines:#?}");
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("X-Forwarded-For")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("\"proxy\":\"127.0.0.1\"") && warnings[0].contains("not an IP address"),
        "{warnings:#?}"
    );
}
