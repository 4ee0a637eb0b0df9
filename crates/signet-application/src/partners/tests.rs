use std::sync::Arc;

use mockall::predicate::eq;
use signet_domain::{Partner, ports::MockPartnerRepository};

use super::*;
use crate::testing::*;

fn partner() -> Partner {
    Partner { id: PARTNER, name: name("Acme Inc."), created_at: at(5), disabled_at: None }
}

#[tokio::test]
async fn a_new_partner_is_stored_as_it_is_returned() {
    let mut partners = MockPartnerRepository::new();
    partners.expect_insert().with(eq(partner())).once().returning(|_| Ok(()));
    let create = CreatePartner::new(Arc::new(partners), Hands::at(5), ids());
    assert_eq!(create.execute(name("Acme Inc.")).await, Ok(partner()));
}

#[tokio::test]
async fn a_partner_that_was_not_stored_is_not_returned() {
    let mut partners = MockPartnerRepository::new();
    partners.expect_insert().once().returning(|_| Err(unavailable()));
    let create = CreatePartner::new(Arc::new(partners), Hands::at(5), ids());
    assert_eq!(create.execute(name("Acme Inc.")).await, Err(unavailable()));
}

#[tokio::test]
async fn a_partner_is_disabled_as_of_now_and_enabled_again() {
    let mut partners = MockPartnerRepository::new();
    let disabled = Partner { disabled_at: Some(at(7)), ..partner() };
    let held = disabled.clone();
    partners
        .expect_set_disabled()
        .with(eq(PARTNER), eq(Some(at(7))))
        .once()
        .returning(move |_, _| Ok(Some(held.clone())));
    partners.expect_set_disabled().with(eq(PARTNER), eq(None)).once().returning(|_, _| Ok(Some(partner())));
    let disable = DisablePartner::new(Arc::new(partners), Hands::at(7));
    assert_eq!(disable.execute(PARTNER).await, Ok(Some(disabled)));
    assert_eq!(disable.undo(PARTNER).await, Ok(Some(partner())));
}

#[tokio::test]
async fn a_partner_that_does_not_exist_is_neither_disabled_nor_enabled() {
    let mut partners = MockPartnerRepository::new();
    partners.expect_set_disabled().times(2).returning(|_, _| Ok(None));
    let disable = DisablePartner::new(Arc::new(partners), Hands::at(7));
    assert_eq!(disable.execute(PARTNER).await, Ok(None));
    assert_eq!(disable.undo(PARTNER).await, Ok(None));
}
