//! x
mod timers;
