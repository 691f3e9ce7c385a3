//! Local STS and RAM for development and tests.
