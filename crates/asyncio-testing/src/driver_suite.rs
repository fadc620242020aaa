//! The contract of the `Driver` trait as tests: one suite, run by every driver.
//!
//! [`driver_suite!`](crate::driver_suite!) makes a `#[test]` of each check. What a driver cannot be asked, because it has no
//! descriptors or no other threads, its check skips; the caller lists these, so that nothing is skipped in silence.
//!
//! Invariants:
//! 1. A check asks only for what the trait promises: spurious wake-ups, events in any order, and several waits for several
//!    events are all right.
//! 2. Nothing sleeps. A real driver waits for what happens on the loopback, and gives up after ten seconds.
//!
//! Absent on purpose: descriptor exhaustion, signals and forks. They change the whole process; drivers test them alone.

mod descriptors;
mod endpoints;
mod registration;
mod rig;
mod waiting;

pub use descriptors::*;
pub use endpoints::*;
pub use registration::*;
pub use waiting::*;

use asyncio_driver::Driver;
use std::io;

/// Makes a `#[test]` of each check of the suite, for the driver that an expression makes.
///
/// `skipped` names the checks that cannot be made of this driver. A check that is skipped without being named fails, and so
/// does one that is named and not skipped.
///
/// # Examples
///
/// ```no_run
/// mod polling {
///     use asyncio_driver::PollingDriver;
///     asyncio_testing::driver_suite!(PollingDriver::new().map(|driver| Box::new(driver) as _), skipped: []);
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! driver_suite {
    ($make:expr, skipped: [$($skipped:ident),* $(,)?]) => {
        $crate::driver_suite! {
            @tests $make, [$(stringify!($skipped)),*],
            // Registration.
            a_source_is_registered_once,
            an_unknown_source_is_not_found,
            a_removed_source_is_not_reported,
            modify_changes_token_and_interest,
            a_level_source_is_reported_by_every_wait,
            an_edge_source_is_reported_once_for_each_news,
            modify_reports_an_edge_source_again,
            a_hang_up_is_ready_both_ways,
            no_interest_is_quiet,
            a_foreign_source_is_unsupported,
            more_level_sources_than_one_batch_are_all_reported,
            more_edge_sources_than_one_batch_are_reported_once_each,
            // Waiting.
            time_never_goes_back,
            now_does_not_wait,
            a_passed_deadline_does_not_wait,
            no_deadline_is_early,
            a_notification_before_the_wait_ends_it,
            a_notification_after_a_wait_ends_the_next,
            notifications_are_taken_together,
            a_notification_from_another_thread_ends_the_wait,
            a_notification_hides_no_event,
            a_notifier_outlives_its_driver,
            events_are_added,
            // Endpoints.
            bytes_arrive_in_order,
            an_empty_scratch_takes_nothing,
            a_half_closed_stream_still_receives,
            a_dead_peer_is_an_error,
            a_full_stream_blocks_until_there_is_room,
            a_refused_connect_is_reported,
            a_listener_hands_out_connections_in_order,
            an_address_in_use_is_refused,
            a_stream_leaves_from_the_address_it_was_given,
            packets_arrive_whole_with_their_sender,
            a_long_packet_is_cut,
            packets_travel_together,
            a_group_gets_its_packets,
            a_packet_to_nobody_is_refused,
            an_impossible_address_is_invalid,
            a_bound_listener_refuses_until_it_listens,
            the_end_of_a_stream_comes_with_its_edge,
            // Descriptors.
            a_regular_file_is_refused,
            a_closed_descriptor_is_not_found,
            a_number_used_again_has_no_events_of_the_old_token,
            unix_sockets_connect_by_path,
            unix_sockets_connect_by_abstract_name,
            unix_packets_arrive,
            sockets_that_exist_are_adopted,
            a_socket_of_another_kind_is_refused,
        }
    };
    (@tests $make:expr, $skipped:expr, $($check:ident),* $(,)?) => {
        $(
            #[test]
            fn $check() {
                $crate::driver_suite::run(stringify!($check), $crate::driver_suite::$check, $make, &$skipped);
            }
        )*
    };
}

/// How a check ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The driver keeps this part of the contract.
    Kept,
    /// The driver cannot be asked, for this reason.
    Skipped(&'static str),
}

/// Runs one check. [`driver_suite!`](crate::driver_suite!) writes the calls.
///
/// # Panics
///
/// If the driver breaks the contract, or skips a check that `skipped` does not name, or the other way round.
pub fn run(
    name: &str,
    check: impl FnOnce(Box<dyn Driver>) -> Outcome,
    driver: io::Result<Box<dyn Driver>>,
    skipped: &[&str],
) {
    let outcome = check(driver.expect("the driver is made"));
    match (outcome, skipped.contains(&name)) {
        (Outcome::Kept, false) | (Outcome::Skipped(_), true) => {}
        (Outcome::Kept, true) => panic!("`{name}` is listed as skipped, but was run"),
        (Outcome::Skipped(reason), false) => panic!("`{name}` was skipped: {reason}; list it if that is right"),
    }
}
