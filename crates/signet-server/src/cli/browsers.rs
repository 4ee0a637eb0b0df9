use std::time::Duration;

use clap::{ArgAction, Args, builder::BoolishValueParser};
use signet_http::Origin;

use super::values::duration;

/// What browsers get.
#[derive(Debug, Args)]
#[command(next_help_heading = "Browsers")]
pub(crate) struct BrowserArgs {
    /// An origin whose pages may call the API from a browser, such as https://app.example; may be repeated, or a list with
    /// commas [default: none]
    #[arg(long, env = "SIGNET_CORS_ORIGIN", hide_env_values = true)]
    #[arg(value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) cors_origin: Vec<Origin>,

    /// Whether /docs has Swagger UI, and / a page that leads there: on or off; /openapi.json and /openapi.yaml stay
    #[arg(long, env = "SIGNET_DOCS", hide_env_values = true, value_name = "SWITCH", default_value = "on")]
    #[arg(action = ArgAction::Set, value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub(crate) docs: bool,

    /// For how long browsers shall reach this host by HTTPS alone (Strict-Transport-Security), such as 365d; 0s takes it
    /// back [default: the header is not sent]
    #[arg(long, env = "SIGNET_HSTS", hide_env_values = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) hsts: Option<Duration>,
}
