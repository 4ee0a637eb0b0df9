/// Makes one `#[test]` of each promise of the ports, in a module for each group of them.
///
/// `$make` is called without arguments, once for each test, and gives a future of an [`Adapter`](crate::Adapter).
#[macro_export]
macro_rules! suite {
    ($make:expr $(,)?) => {
        $crate::suite!(@group $make, users:
            a_registration_is_found_as_committed
            metadata_of_every_kind_survives
            numbers_survive_to_the_last_bit
            text_of_every_script_survives
            the_longest_values_survive
            values_that_later_rules_reject_are_read_and_kept
            many_long_keys_survive
            the_first_and_the_last_instant_survive
            each_step_of_a_life_is_found
            a_find_sees_every_acknowledged_change
            an_unknown_user_is_not_found
            another_partners_user_is_not_found
        );
        $crate::suite!(@group $make, commits:
            an_update_replaces_its_user_alone
            a_stale_change_changes_nothing
            a_change_to_a_version_to_come_is_stale
            a_change_to_an_unknown_user_is_stale
            a_change_under_an_unknown_partner_is_stale
            a_change_to_another_partners_user_is_stale
            a_taken_address_is_refused_in_any_spelling
            similar_addresses_are_different
            a_removed_user_keeps_its_address
            an_address_is_free_under_another_partner
            an_update_to_a_taken_address_writes_nothing
            stale_comes_before_a_taken_address
            a_user_may_respell_its_own_address
            an_address_given_up_is_free
            a_change_and_its_entry_are_one
            a_registration_under_an_unknown_partner_is_refused
            a_registration_under_a_used_id_is_refused
        );
        $crate::suite!(@group $make, races:
            one_of_many_registrations_with_an_address_wins
            one_of_many_updates_of_a_version_wins
            one_of_many_updates_to_an_address_wins
            one_of_registrations_and_updates_to_an_address_wins
            many_registrations_all_get_a_place
            a_list_never_grows_in_the_middle
            updates_made_again_on_fresh_data_all_survive
            a_change_and_its_entry_are_seen_together
        );
        $crate::suite!(@group $make, at_once:
            the_trail_tells_how_every_answer_came_about
        );
        $crate::suite!(@group $make, lists:
            users_are_listed_in_the_order_of_registration
            a_clock_that_goes_backwards_changes_no_order
            every_page_is_its_window
            an_offset_past_the_end_gives_the_total
            no_users_are_an_empty_list
            a_list_is_one_partners
            a_changed_user_keeps_its_place
            a_registration_shifts_no_page
            a_refused_registration_takes_no_place
            a_list_sees_every_acknowledged_registration
        );
        $crate::suite!(@group $make, audit:
            entries_come_newest_first
            versions_come_before_ids
            a_limit_cuts_the_trail
            pages_cover_every_entry_once
            any_position_cuts_the_trail
            new_entries_shift_no_page
            another_partners_entries_are_not_read
            what_does_not_exist_has_no_entries
            an_entry_is_read_as_committed
            a_trail_sees_every_acknowledged_change
        );
        $crate::suite!(@group $make, isolation:
            who_knows_another_partners_ids_gets_and_changes_nothing
            twins_under_two_partners_live_their_own_lives
            twins_that_are_asked_for_at_once_are_told_apart
        );
        $crate::suite!(@group $make, model:
            every_answer_is_that_of_a_model
        );
        $crate::suite!(@group $make, partners:
            a_partner_is_listed_as_inserted
            partners_are_listed_oldest_first
            a_used_partner_id_is_refused
            disabling_keeps_the_first_time
            an_unknown_partner_is_not_disabled
            disabling_leaves_the_users
            disabling_at_the_same_time_keeps_one_time
        );
        $crate::suite!(@group $make, api_keys:
            a_key_is_found_as_inserted
            a_key_needs_its_partner
            a_used_key_id_is_refused
            an_unknown_key_is_not_found
            look_ups_at_once_get_an_answer_each
            a_key_tells_whether_its_partner_is_disabled
            keys_are_listed_oldest_first
            dead_keys_are_still_there
            revoking_keeps_the_first_time
            an_unknown_key_is_not_revoked
            revoking_at_the_same_time_keeps_one_time
        );
    };
    (@group $make:expr, $group:ident: $($behaviour:ident)*) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $behaviour() {
                    let test = concat!(stringify!($group), "::", stringify!($behaviour));
                    $crate::run(test, $make, $crate::behaviours::$group::$behaviour);
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests {
    /// A behaviour that the macro forgets would be a promise that nobody checks.
    #[test]
    fn every_behaviour_is_in_the_suite() {
        let suite = include_str!("suite.rs");
        let mut behaviours = 0;
        for source in [
            include_str!("behaviours/users.rs"),
            include_str!("behaviours/commits.rs"),
            include_str!("behaviours/races.rs"),
            include_str!("behaviours/lists.rs"),
            include_str!("behaviours/audit.rs"),
            include_str!("behaviours/at_once.rs"),
            include_str!("behaviours/isolation.rs"),
            include_str!("behaviours/model.rs"),
            include_str!("behaviours/partners.rs"),
            include_str!("behaviours/api_keys.rs"),
        ] {
            for line in source.lines() {
                if let Some(rest) = line.strip_prefix("pub async fn ") {
                    let name = rest.split('(').next().expect("a name");
                    assert!(suite.lines().any(|line| line.trim() == name), "{name}");
                    behaviours += 1;
                }
            }
        }
        assert!(behaviours > 50, "the sources are read");
    }
}
