//! Control of a running emulator, by tests in the same process and over HTTP: scripted faults, recorded calls, the clock.

mod calls;
mod clock;
mod emulator_control;
mod faults;
mod routes;

pub(crate) use calls::Calls;
pub use calls::{Call, Totals};
pub(crate) use clock::MovableClock;
pub use emulator_control::EmulatorControl;
pub(crate) use faults::Faults;
pub use faults::{ErrorStatus, Fault, NoErrorStatus, ScriptedFault};
pub(crate) use routes::routes;
