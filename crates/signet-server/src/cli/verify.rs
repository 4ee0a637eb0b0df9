use std::mem;

use clap::{ArgAction, Args, builder::BoolishValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use signet_application::audit::{Finding, Told, VerifyAuditTrail};

use super::{database::DatabasePlace, print};
use crate::error::Failure;

/// Check that the audit trail rebuilds the exact state of every user
///
/// Replays the trail of each user from nothing and compares the outcome with the user; looks for users that are gone,
/// too. Changes nothing, applies no migrations, and may run while the service does. Every difference is one line, and
/// any makes the exit code 1.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Print one JSON object
    #[arg(long, env = "SIGNET_JSON", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    database: DatabasePlace,
}

impl VerifyArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let backend = self.database.open_to_read().await?;
        let mut differences = Differences::begin(self.json)?;
        let bar = bar();
        let mut printed = Ok(());
        let verify = VerifyAuditTrail::new(backend.partners, backend.users, backend.audit);
        let verified = verify.execute(|told| match told {
            Told::Progress { done, total } => {
                bar.set_length(total);
                bar.set_position(done);
            }
            Told::Finding(finding) => {
                if printed.is_ok() {
                    printed = bar.suspend(|| differences.print(&finding));
                }
            }
        });
        let verified = verified.await;
        bar.finish_and_clear();
        printed?;
        // A failure of the database leaves the JSON object open: nobody can take it for a result.
        let verified = verified?;
        let (partners, users, entries) = (verified.partners, verified.users, verified.entries);
        differences.end(&format!(r#""partners":{partners},"users":{users},"entries":{entries}"#))?;
        match verified.findings {
            0 if self.json => Ok(()),
            0 => print::line(&format!(
                "The audit trail rebuilds every user (partners: {partners}, users: {users}, entries: {entries})."
            )),
            1 => Err(Failure::Runtime("the audit trail tells another story than the users: 1 difference".to_owned())),
            many => {
                Err(Failure::Runtime(format!("the audit trail tells another story than the users: {many} differences")))
            }
        }
    }
}

/// The differences on stdout, each as it is found, so that any number of them takes no memory.
struct Differences {
    /// What stands before the next one in the JSON object; `None` for lines.
    separator: Option<&'static str>,
}

impl Differences {
    fn begin(json: bool) -> Result<Self, Failure> {
        if json {
            print::part(r#"{"differences":["#)?;
        }
        Ok(Self { separator: json.then_some("") })
    }

    fn print(&mut self, Finding { partner_id, user_id, reason }: &Finding) -> Result<(), Failure> {
        if let Some(separator) = &mut self.separator {
            let object = json!({"partnerId": partner_id, "userId": user_id, "reason": reason});
            return print::part(&format!("{}{}", mem::replace(separator, ","), print::without_nulls(object)));
        }
        let user = user_id.map(|user_id| format!(", user {user_id}")).unwrap_or_default();
        print::line(&format!("partner {partner_id}{user}: {reason}"))
    }

    fn end(self, rest: &str) -> Result<(), Failure> {
        match self.separator {
            Some(_) => print::line(&format!("],{rest}}}")),
            None => Ok(()),
        }
    }
}

/// On stderr, and only where that is a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % of {len} steps, {eta} left");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_error| ProgressStyle::default_bar()))
}
