use std::{sync::Arc, time::Duration};

use clap::{ArgAction, Args, Subcommand, builder::BoolishValueParser};
use serde_json::{Value, json};
use signet_application::api_keys::{CreateApiKey, KeyState, ListApiKeys, NewApiKey, RevokeApiKey};
use signet_domain::{ApiKey, ApiKeyId, KeyMode, KeyScope, Name, PartnerId};

use super::{partner::Common, print, values};
use crate::{
    error::Failure,
    system::{Argon2Hasher, RandomIds, SystemClock},
};

/// Create, list and revoke API keys
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Create an API key and show it, this once
    Create(CreateArgs),
    /// List the keys of a partner, oldest first
    List {
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        common: Common,
    },
    /// Revoke a key; running servers refuse it within 30 seconds
    Revoke {
        /// The key's id: the 16 characters after signet_live_ or signet_test_
        #[arg(value_name = "KEY_ID", value_parser = ApiKeyId::parse)]
        id: ApiKeyId,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Owner {
    /// The partner whose key it is
    #[arg(long, env = "SIGNET_PARTNER", hide_env_values = true, value_name = "ID", value_parser = PartnerId::parse)]
    partner: PartnerId,
}

#[derive(Debug, Args)]
struct CreateArgs {
    #[command(flatten)]
    owner: Owner,

    /// What it is called; the audit trail shows it
    #[arg(long, env = "SIGNET_KEY_NAME", hide_env_values = true, value_name = "NAME", value_parser = Name::parse)]
    name: Name,

    /// Make a key that starts with signet_test_; it works like any other
    #[arg(long, env = "SIGNET_KEY_TEST", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    test: bool,

    /// Make a key that can get and list, and change nothing
    #[arg(long, env = "SIGNET_KEY_READ_ONLY", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    read_only: bool,

    /// For how long it works, such as 90d; for ever where this is not given
    #[arg(long, env = "SIGNET_KEY_EXPIRES_IN", hide_env_values = true)]
    #[arg(value_name = "DURATION", value_parser = values::lifetime)]
    expires_in: Option<Duration>,

    #[command(flatten)]
    common: Common,
}

impl KeyArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            KeyCommand::Create(args) => create(args).await,
            KeyCommand::List { owner, common } => list(owner.partner, common).await,
            KeyCommand::Revoke { id, common } => revoke(id, common).await,
        }
    }
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let keys = args.common.database.open_existing().await?.keys;
    let hasher = Argon2Hasher::start().map_err(|error| Failure::runtime("cannot start a thread", error))?;
    let create = CreateApiKey::new(keys, Arc::new(hasher), Arc::new(SystemClock), Arc::new(RandomIds));
    let new = NewApiKey {
        partner_id: args.owner.partner,
        name: args.name,
        mode: if args.test { KeyMode::Test } else { KeyMode::Live },
        scope: if args.read_only { KeyScope::ReadOnly } else { KeyScope::ReadWrite },
        expires_in: args.expires_in,
    };
    let created = create.execute(new).await;
    let (key, token) = created.map_err(|error| Failure::runtime("cannot create the key", error))?;
    if args.common.json {
        let token = token.expose();
        return print::json(json!({"keyId": key.id, "apiKey": token, "expiresAt": key.expires_at}));
    }
    let expiry = key.expires_at.map(|at| format!("It works until {at}.\n")).unwrap_or_default();
    print::line(&format!(
        "Key {} was created. {expiry}Keep it safe, it is not shown again:\n\n  {}\n",
        key.id,
        token.expose()
    ))
}

async fn list(partner: PartnerId, common: Common) -> Result<(), Failure> {
    let backend = common.database.open_existing().await?;
    let keys = ListApiKeys::new(backend.keys, backend.partners, Arc::new(SystemClock)).execute(partner).await?;
    let keys = keys.ok_or_else(|| Failure::Runtime(format!("there is no partner {partner}")))?;
    if common.json {
        return print::json(json!({"keys": keys.iter().map(as_json).collect::<Vec<_>>()}));
    }
    let row = |(key, state): (ApiKey, KeyState)| {
        [
            key.id.to_string(),
            key.name.to_string(),
            key.mode.as_str().to_owned(),
            key.scope.as_str().to_owned(),
            word(state).to_owned(),
            key.created_at.to_string(),
            print::time(key.expires_at),
        ]
    };
    print::table(["ID", "NAME", "MODE", "SCOPE", "STATE", "CREATED", "EXPIRES"], keys.into_iter().map(row))
}

async fn revoke(id: ApiKeyId, common: Common) -> Result<(), Failure> {
    let keys = common.database.open_existing().await?.keys;
    // This process verifies no keys: it has no memory of them to share.
    let revoke = RevokeApiKey::new(keys, Arc::new(SystemClock), Arc::default());
    let found = revoke.execute(id.clone()).await?;
    let key = found.ok_or_else(|| Failure::Runtime(format!("there is no key {id}")))?;
    if common.json {
        return print::json(json!({"keyId": key.id, "revokedAt": key.revoked_at}));
    }
    print::line(&format!("Key {} ({}) is revoked; running servers refuse it within 30 seconds.", key.id, key.name))
}

fn as_json((key, state): &(ApiKey, KeyState)) -> Value {
    let revoked_at = key.revoked_at.filter(|_| *state == KeyState::Revoked);
    json!({
        "keyId": key.id, "name": key.name, "mode": key.mode.as_str(), "scope": key.scope.as_str(),
        "state": word(*state), "createdAt": key.created_at, "expiresAt": key.expires_at, "revokedAt": revoked_at,
    })
}

const fn word(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Expired => "expired",
        KeyState::Revoked => "revoked",
    }
}
