mod token_schedules;
mod tokens;
