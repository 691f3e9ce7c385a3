//! `appserver setup plan`.

use clap::{Args, ValueEnum};

use super::plan_source::PlanSource;
use super::{cli_format, json_format, ros_format, terraform_format, text_format};
use crate::cli::failure::Failure;
use crate::cli::output::say;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    source: PlanSource,
    /// How the plan is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people: what and why, in order
    Text,
    /// A bash script of calls of Alibaba's command line, `aliyun`
    Cli,
    /// A Terraform module for the provider `aliyun/alicloud`
    Terraform,
    /// A template of ROS, in YAML
    Ros,
    /// The plan as data
    Json,
}

pub(super) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let plan = args.source.plan()?;
    say(match args.format {
        Format::Text => text_format::text(&plan),
        Format::Cli => cli_format::script(&plan),
        Format::Terraform => terraform_format::module(&plan),
        Format::Ros => ros_format::template(&plan),
        Format::Json => json_format::json(&plan),
    })
}
