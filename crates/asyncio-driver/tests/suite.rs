//! The contract of the `Driver` trait, asked of each kernel driver.

#[cfg(target_os = "linux")]
mod epoll {
    use asyncio_driver::EpollDriver;

    asyncio_testing::driver_suite!(EpollDriver::new().map(|driver| Box::new(driver) as _), skipped: []);
}

mod polling {
    use asyncio_driver::PollingDriver;

    asyncio_testing::driver_suite!(PollingDriver::new().map(|driver| Box::new(driver) as _), skipped: []);
}
