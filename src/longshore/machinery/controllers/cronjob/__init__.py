"""CronJobs: Jobs made at the times of a schedule."""
