//! The roles in Postgres, made as the operator's guide says.

mod own_server {
    use std::fs;

    use signet_testkit::{PostgresServer, ServerOptions, tool};

    use crate::{
        database::Place,
        program::{Server, json, run, signet},
    };

    const GUIDE: &str = include_str!("../../../../docs/operations.md");
    const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/roles.sql");

    fn psql(url: &str, arguments: &[&str]) {
        let mut command = tool("psql");
        command.args(["-X", "-q", "--set", "ON_ERROR_STOP=1"]).args(arguments).arg(url);
        let told = run(command);
        assert_eq!(told.code, Some(0), "{told:?}");
    }

    #[test]
    fn the_owner_migrates_and_the_service_works_without_owning_anything() {
        let postgres = PostgresServer::start_new(&ServerOptions::default());
        let place = Place::sqlite();
        let guide =
            GUIDE.split("```sql\n").find(|block| block.starts_with("CREATE ROLE signet_owner")).expect("a block");
        let setup = place.path().join("setup.sql");
        fs::write(&setup, guide.split("```").next().expect("its end")).expect("written");
        psql(&postgres.url("postgres"), &["--file", setup.to_str().expect("UTF-8")]);
        let url = |role: &str| format!("postgres://{role}@127.0.0.1:{}/signet", postgres.port());
        let (owner, service) = (url("signet_owner"), url("signet"));

        let early = run(signet(place.path(), &["partner", "list", "--database-url", &service]));
        assert_eq!((early.code, early.err.lines().count()), (Some(1), 1), "{early:?}");
        assert!(early.err.contains("its owner has to run `signet migrate`"), "{early:?}");

        let told = run(signet(place.path(), &["migrate", "--database-url", &owner]));
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
        for _ in 0..2 {
            psql(&owner, &["--file", ROLES]);
        }
        let told = run(signet(place.path(), &["migrate", "--database-url", &service]));
        assert_eq!(told.out, "The database is up to date.\n", "{told:?}");
        let as_service = |arguments: &[&str]| json(place.path(), &[arguments, &["--database-url", &service]].concat());
        let partner = as_service(&["partner", "create", "--name", "Acme"]);
        let id = partner["partnerId"].as_str().expect("an id");
        let key = as_service(&["key", "create", "--name", "Backend", "--partner", id]);
        let mut server = Server::start(place.path(), &["--database-url", &service]);
        let client = server.client(key["apiKey"].as_str().expect("a key"));
        assert_eq!(client.register("john@example.com").status, 201);
        assert_eq!(server.ask("/readyz").0, 200);
        server.stop();
        // Nor is an address in the server's log where the database itself had to refuse it, as in a race.
        let twice = "INSERT INTO users SELECT partner_id, gen_random_uuid(), ordinal + 1, name, email, email_key, status, \
            metadata, registered_at, updated_at, removed_at, version FROM users";
        let mut command = tool("psql");
        command.args(["-X", "-q", "--command", twice]).arg(&service);
        assert_eq!(run(command).code, Some(1));
        psql(&postgres.url("postgres"), &["--command", "DO $$ BEGIN RAISE LOG 'the end'; END $$"]);
        postgres.wait_for_log(0, |line| line.contains("the end").then_some(()));
        let told = |what| postgres.log().into_iter().filter(|line| line.contains(what)).count();
        assert_eq!((told("duplicate key value"), told("john@example.com")), (1, 0), "{:#?}", postgres.log());
        as_service(&["key", "revoke", key["keyId"].as_str().expect("an id")]);
        as_service(&["partner", "disable", id]);
        as_service(&["partner", "enable", id]);
        assert_eq!(as_service(&["verify"])["entries"], 1);

        // The next version has one more migration.
        let lacking = "DELETE FROM __diesel_schema_migrations WHERE version = \
            (SELECT max(version) FROM __diesel_schema_migrations)";
        psql(&owner, &["--command", lacking]);
        let told =
            run(signet(place.path(), &["serve", "--management-listen", "127.0.0.1:0", "--database-url", &service]));
        let lines: Vec<_> = told.err.lines().filter(|line| line.starts_with("error: ")).collect();
        let expected = "error: the database is unavailable: the database lacks 1 migration, and its owner has to run \
            `signet migrate`";
        assert_eq!((told.code, lines), (Some(1), vec![expected]), "{told:?}");
    }
}
