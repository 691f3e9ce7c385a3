//! Models of what replicas do with Redis, searched in all of their states, and the scripts in step with the models.

mod budget;
mod budget_conformance;
mod budget_model;
mod explorer;
mod lease;
mod lease_conformance;
mod lease_model;
mod lease_script;
mod server;
