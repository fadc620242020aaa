//! The contract of the `Driver` trait, asked of the scripted driver.

use asyncio_testing::{ScriptedDriver, VirtualClock};

asyncio_testing::driver_suite!(Ok(Box::new(ScriptedDriver::new(&VirtualClock::new()))), skipped: [
    // It has no descriptors.
    a_foreign_source_is_unsupported,
    a_regular_file_is_refused,
    a_closed_descriptor_is_not_found,
    a_number_used_again_has_no_events_of_the_old_token,
    sockets_that_exist_are_adopted,
    a_socket_of_another_kind_is_refused,
    // Asked in `scripted.rs`, with a `ClockHold`.
    a_notification_from_another_thread_ends_the_wait,
]);
