use std::sync::Arc;

use clap::{ArgAction, Args, Subcommand, builder::BoolishValueParser};
use serde_json::{Value, json};
use signet_application::partners::{CreatePartner, DisablePartner};
use signet_domain::{Name, Partner, PartnerId};

use super::{DatabaseArgs, print};
use crate::{
    error::Failure,
    system::{RandomIds, SystemClock},
};

/// Create, list, disable and enable partners
#[derive(Debug, Args)]
pub(super) struct PartnerArgs {
    #[command(subcommand)]
    command: PartnerCommand,
}

#[derive(Debug, Subcommand)]
enum PartnerCommand {
    /// Create a partner, and the database if there is none
    Create {
        /// What it is called
        #[arg(long, env = "SIGNET_PARTNER_NAME", hide_env_values = true, value_name = "NAME", value_parser = Name::parse)]
        name: Name,
        #[command(flatten)]
        common: Common,
    },
    /// List all partners, oldest first
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Refuse the keys of a partner, within 30 seconds
    Disable {
        /// The partner's id
        #[arg(value_name = "ID", value_parser = PartnerId::parse)]
        id: PartnerId,
        #[command(flatten)]
        common: Common,
    },
    /// Accept the keys of a partner again
    Enable {
        /// The partner's id
        #[arg(value_name = "ID", value_parser = PartnerId::parse)]
        id: PartnerId,
        #[command(flatten)]
        common: Common,
    },
}

/// What the commands on partners and keys have in common.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Print one JSON object
    #[arg(long, env = "SIGNET_JSON", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
}

impl PartnerArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            PartnerCommand::Create { name, common } => create(name, common).await,
            PartnerCommand::List { common } => list(common).await,
            PartnerCommand::Disable { id, common } => switch(id, true, common).await,
            PartnerCommand::Enable { id, common } => switch(id, false, common).await,
        }
    }
}

async fn create(name: Name, common: Common) -> Result<(), Failure> {
    let partners = common.database.open_or_create().await?.partners;
    let partner = CreatePartner::new(partners, Arc::new(SystemClock), Arc::new(RandomIds)).execute(name).await?;
    if common.json {
        return print::json(json!({"partnerId": partner.id, "name": partner.name}));
    }
    print::line(&format!("Partner {} ({}) was created.", partner.id, partner.name))
}

async fn list(common: Common) -> Result<(), Failure> {
    let partners = common.database.open_existing().await?.partners.list().await?;
    if common.json {
        return print::json(json!({"partners": partners.iter().map(as_json).collect::<Vec<_>>()}));
    }
    let row = |partner: Partner| {
        let created = partner.created_at.to_string();
        [partner.id.to_string(), partner.name.to_string(), created, print::time(partner.disabled_at)]
    };
    print::table(["ID", "NAME", "CREATED", "DISABLED"], partners.into_iter().map(row))
}

async fn switch(id: PartnerId, disable: bool, common: Common) -> Result<(), Failure> {
    let partners = common.database.open_existing().await?.partners;
    let use_case = DisablePartner::new(partners, Arc::new(SystemClock));
    let found = if disable { use_case.execute(id).await? } else { use_case.undo(id).await? };
    let partner = found.ok_or_else(|| Failure::Runtime(format!("there is no partner {id}")))?;
    if common.json {
        return print::json(as_json(&partner));
    }
    let state = if disable { "disabled; its keys stop working within 30 seconds" } else { "enabled" };
    print::line(&format!("Partner {} ({}) is {state}.", partner.id, partner.name))
}

fn as_json(partner: &Partner) -> Value {
    json!({
        "partnerId": partner.id, "name": partner.name,
        "createdAt": partner.created_at, "disabledAt": partner.disabled_at,
    })
}
