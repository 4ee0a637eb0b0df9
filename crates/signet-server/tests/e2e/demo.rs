use std::process::Command;

use serde_json::Value;

use crate::database::{Place, on_both};

/// The answer to a curl line that is pasted into a shell.
fn paste(line: &str) -> Value {
    let output = Command::new("sh").args(["-c", &format!("{line} --silent --show-error")]).output().expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

on_both! {
    fn the_first_curl_line_works_and_the_key_is_shown_once(place: &Place) {
        let mut server = place.serve(&["--demo"]);
        let line = server.out.wait_for(0, |line| line.trim().starts_with("curl ").then(|| line.trim().to_owned()));
        server.out.wait_for(0, |line| line.starts_with("Swagger UI: ").then_some(()));
        assert!(server.out.all().contains(&format!("Swagger UI: {}/docs", server.url())));
        let answer = paste(&line);
        assert_eq!(answer["message"], "User registered successfully.", "{answer}");
        assert_eq!(answer["data"]["email"], "john.doe@example.com");
        assert!(server.stop().success());

        let partners = place.json(&["partner", "list"]);
        assert_eq!(partners["partners"].as_array().map(Vec::len), Some(1), "{partners}");
        let mut again = place.serve(&["--demo"]);
        assert!(again.stop().success());
        assert_eq!(again.out.all(), [signet_testkit::Lines::END], "a database that is not empty is left alone");
    }
}

/// The curl lines of the specification as they stand, but for the port, the key and the id.
#[test]
fn the_curl_lines_of_the_specification_work() {
    let place = Place::sqlite();
    let key = place.partner().key;
    let server = place.serve(&[]);
    let paste = |line: &str, id: &str| {
        let line = line
            .replace("https://localhost:4401", &server.url())
            .replace("YOUR_API_KEY", &key)
            .replace("?userId", &format!("?userId={id}"))
            .replace("1a123288-24e8-4c6d-a847-501bab184f5a", id);
        paste(&format!("{line} --cacert {}", server.certificate().display()))
    };
    let registered = paste(
        r#"curl -X POST https://localhost:4401/partner/v1/register-user \
-H "Content-Type: application/json" \
-H "Authorization: Bearer YOUR_API_KEY" \
-d '{
"name": "John Doe",
"email": "johasdn.doe@example.com"
}'"#,
        "",
    );
    assert_eq!(registered["message"], "User registered successfully.");
    let user = &registered["data"];
    let id = user["userId"].as_str().expect("an id");

    let listed = paste(
        r#"curl -X GET https://localhost:4401/partner/v1/all-users \
-H "Authorization: Bearer YOUR_API_KEY""#,
        id,
    );
    assert_eq!((&listed["message"], &listed["data"]["users"][0]), (&"Users retrieved successfully.".into(), user));

    let got = paste(
        r#"curl -X GET https://localhost:4401/partner/v1/get-user?userId \
-H "Authorization: Bearer YOUR_API_KEY""#,
        id,
    );
    assert_eq!((got.get("message"), &got["data"]), (None, user));

    let updated = paste(
        r#"curl -X PATCH https://localhost:4401/partner/v1/update-user \
-H "Content-Type: application/json" \
-H "Authorization: Bearer YOUR_API_KEY" \
-d '{
"userId": "1a123288-24e8-4c6d-a847-501bab184f5a",
"status": "suspended"
}'"#,
        id,
    );
    assert_eq!(
        (&updated["message"], &updated["data"]["status"]),
        (&"User updated successfully.".into(), &"suspended".into())
    );

    let removed = paste(
        r#"curl -X DELETE https://localhost:4401/partner/v1/remove-user \
-H "Content-Type: application/json" \
-H "Authorization: Bearer YOUR_API_KEY" \
-d '{
"userId": "1a123288-24e8-4c6d-a847-501bab184f5a"
}'"#,
        id,
    );
    assert_eq!((&removed["message"], &removed["data"]["userId"]), (&"User removed successfully.".into(), &id.into()));
}

#[test]
fn a_demo_that_was_cut_short_is_completed() {
    let place = Place::sqlite();
    place.json(&["partner", "create", "--name", "Demo"]);
    let server = place.serve(&["--demo"]);
    server.out.wait_for(0, |line| line.trim().starts_with("curl ").then_some(()));
    assert_eq!(place.json(&["partner", "list"])["partners"].as_array().map(Vec::len), Some(1));
}
