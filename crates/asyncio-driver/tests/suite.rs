//! The contract of the `Driver` trait, asked of each kernel driver.

#[cfg(target_os = "linux")]
mod epoll {
    use asyncio_driver::EpollDriver;

    asyncio_testing::driver_suite!(EpollDriver::new().map(|driver| Box::new(driver) as _), skipped: []);
}

#[cfg(unix)]
mod polling {
    use asyncio_driver::PollingDriver;

    asyncio_testing::driver_suite!(PollingDriver::new().map(|driver| Box::new(driver) as _), skipped: []);
}

#[cfg(windows)]
mod polling {
    use asyncio_driver::PollingDriver;

    asyncio_testing::driver_suite!(PollingDriver::new().map(|driver| Box::new(driver) as _), skipped: [
        // IOCP reports levels only.
        an_edge_source_is_reported_once_for_each_news,
        modify_reports_an_edge_source_again,
        more_edge_sources_than_one_batch_are_reported_once_each,
        the_end_of_a_stream_comes_with_its_edge,
        // Only sockets can be registered.
        a_regular_file_is_refused,
        a_closed_descriptor_is_not_found,
        a_number_used_again_has_no_events_of_the_old_token,
        unix_sockets_connect_by_path,
        unix_packets_arrive,
    ]);
}
