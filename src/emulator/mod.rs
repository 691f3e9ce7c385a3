//! Local STS and RAM for development and tests.

pub mod ram;
mod settings;
mod settings_problem;
mod token;

pub use settings::EmulatorSettings;
pub use settings_problem::{EmulatorProblem, Field, FieldProblem};
pub use token::{Session, TokenKey, TokenProblem};
