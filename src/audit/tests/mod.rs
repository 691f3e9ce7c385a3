mod queue;
mod queue_schedules;
