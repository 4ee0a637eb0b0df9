/// Those of `tables` that a statement names more often than it says whose rows it is about: by a condition that gives the
/// column `key` of that table one value, behind `WHERE`, `ON` or `USING`.
///
/// That value is a parameter, or the `key` of something else: of a query in the statement, or of another one of `tables`
/// that has a parameter for it. A new row has to name the column. Where the condition stands beside an `OR`, nothing is
/// keyed.
///
/// This is a check against forgetting, and no parser of SQL. What it does not know, it takes for unkeyed: a table under
/// another name, say, or a comparison of several columns at once.
#[must_use]
pub fn unkeyed<'t>(statement: &str, tables: &[&'t str], key: &str) -> Vec<&'t str> {
    let words = words(statement);
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let named = |table: &str| (1..words.len()).filter(|&index| word(index) == table).collect::<Vec<_>>();
    let is_alone = tables.iter().filter(|table| !named(table).is_empty()).count() == 1;
    let is_weakened = is_beside_or(&words, key);
    let equations = equations(&words);
    let is_value = |side: &str| side.starts_with(['$', '?']);
    // The column's name says of which table it is, unless there is one only.
    let keyed_by = |table: &str, by: &dyn Fn(&str) -> bool| {
        let column = format!("{table}.{key}");
        let is_column = |side: &str| side == column || (is_alone && side == key);
        let keys = |(one, other): &&(&str, &str)| (is_column(one) && by(other)) || (is_column(other) && by(one));
        equations.iter().filter(keys).count()
    };
    let is_other_key = |table: &str, side: &str| {
        let Some((other, column)) = side.rsplit_once('.') else { return false };
        column == key && other != table && (!tables.contains(&other) || keyed_by(other, &is_value) > 0)
    };
    let has_key = |from: usize| words[from..].iter().take_while(|word| *word != ")").any(|word| word == key);
    let is_unkeyed = |table: &&str| {
        let (inserted, named): (Vec<_>, Vec<_>) =
            named(table).into_iter().partition(|&index| word(index - 1) == "INTO");
        let joined = named.iter().filter(|&&index| word(index + 1) == "USING" && has_key(index)).count();
        let keyed = joined + keyed_by(table, &|side| is_value(side) || is_other_key(table, side));
        let has_column = |index: usize| word(index + 1) == "(" && has_key(index);
        named.len() > keyed || (is_weakened && !named.is_empty()) || !inserted.into_iter().all(has_column)
    };
    tables.iter().copied().filter(is_unkeyed).collect()
}

/// Names, numbers and parameters as a word each, names without quotes; a text as its quotes.
fn words(statement: &str) -> Vec<String> {
    let (mut words, mut in_text) = (vec![String::new()], false);
    for character in statement.chars().filter(|character| !['"', '`'].contains(character)) {
        let is_quote = character == '\'';
        if !in_text && !is_quote && (character.is_alphanumeric() || "_.$?".contains(character)) {
            words.last_mut().expect("at least one").push(character);
        } else if !in_text || is_quote {
            words.extend([character.to_string(), String::new()]);
        }
        in_text ^= is_quote;
    }
    words.retain(|word| !word.trim().is_empty());
    words
}

/// Both sides of each `=` that is no assignment.
fn equations(words: &[String]) -> Vec<(&str, &str)> {
    let mut assigns = false;
    let mut equations = Vec::new();
    for three in words.windows(3) {
        match three[1].as_str() {
            "SET" => assigns = true,
            "WHERE" | "ON" => assigns = false,
            "=" if !assigns => equations.push((three[0].as_str(), three[2].as_str())),
            _ => {}
        }
    }
    equations
}

/// Whether an `OR` stands between the same parentheses as the column.
fn is_beside_or(words: &[String], key: &str) -> bool {
    let mut groups = vec![(false, false)];
    let mut beside = false;
    for word in words.iter().map(String::as_str).chain([")"]) {
        let (mut has_or, mut has_key) = groups.pop().unwrap_or_default();
        match word {
            "(" => groups.extend([(has_or, has_key), (false, false)]),
            ")" => {
                beside |= has_or && has_key;
                let (outer_or, outer_key) = groups.pop().unwrap_or_default();
                groups.push((outer_or, outer_key || has_key));
            }
            _ => {
                has_or |= word == "OR";
                has_key |= word == key || word.strip_suffix(key).is_some_and(|table| table.ends_with('.'));
                groups.push((has_or, has_key));
            }
        }
    }
    beside
}

#[cfg(test)]
mod tests {
    const TABLES: [&str; 2] = ["partners", "users"];

    fn unkeyed(statement: &str) -> Vec<&'static str> {
        super::unkeyed(statement, &TABLES, "partner_id")
    }

    #[test]
    fn a_condition_on_the_column_keys_a_table() {
        for statement in [
            "SELECT name FROM users WHERE partner_id = $1 AND user_id = $2",
            "SELECT name FROM users WHERE user_id = $2 AND $1 = users.partner_id",
            r#"SELECT "users"."name" FROM "users" WHERE (("users"."partner_id" = $1) AND ("users"."name" = $2 OR $3))"#,
            "UPDATE `users` SET `name` = ? WHERE (`users`.`partner_id` = ?)",
            "INSERT INTO users (partner_id, user_id) VALUES ($1, $2)",
            "INSERT INTO users (user_id, partner_id) SELECT user_id, partner_id FROM member",
            "SELECT 1 FROM member JOIN users USING (partner_id, user_id)",
            "SELECT found.* FROM unnest($1) AS asked (partner_id) CROSS JOIN LATERAL
                (SELECT name FROM users WHERE users.partner_id = asked.partner_id LIMIT 1) AS found",
            "SELECT name FROM partners LEFT JOIN users ON users.partner_id = partners.partner_id
                WHERE partners.partner_id = ?",
            "SELECT version FROM migrations",
        ] {
            assert_eq!(unkeyed(statement), [""; 0], "{statement}");
        }
    }

    #[test]
    fn whatever_else_does_not() {
        for (statement, tables) in [
            ("SELECT name FROM users", &["users"][..]),
            ("SELECT partner_id FROM users WHERE user_id = $1", &["users"]),
            ("SELECT name FROM users WHERE partner_id <> $1", &["users"]),
            ("SELECT name FROM users WHERE partner_id >= $1", &["users"]),
            ("SELECT name FROM users WHERE partner_id IN ($1, $2)", &["users"]),
            ("SELECT name FROM users WHERE name = 'WHERE partner_id = $1'", &["users"]),
            ("SELECT name FROM users WHERE partner_id = $1 OR name = $2", &["users"]),
            ("SELECT name FROM users WHERE ((users.partner_id = $1) OR (name = $2)) AND a = $3", &["users"]),
            ("SELECT name FROM users AS u WHERE u.partner_id = $1", &["users"]),
            ("UPDATE users SET partner_id = $1", &["users"]),
            ("DELETE FROM users WHERE user_id = $1", &["users"]),
            ("INSERT INTO users (user_id) VALUES ($1)", &["users"]),
            ("INSERT INTO users SELECT partner_id, user_id FROM member", &["users"]),
            ("SELECT 1 FROM member JOIN users USING (user_id)", &["users"]),
            ("SELECT name FROM users WHERE partner_id = $1 AND EXISTS (SELECT 1 FROM users)", &["users"]),
            ("SELECT name FROM users JOIN partners ON users.partner_id = partners.partner_id", &TABLES),
            ("SELECT name FROM users, partners WHERE partners.partner_id = $1", &["users"]),
            ("SELECT name FROM partners JOIN users ON name = $1 WHERE users.partner_id = $1", &["partners"]),
        ] {
            assert_eq!(unkeyed(statement), tables, "{statement}");
        }
    }
}
