"""Which of several servers acts: whoever holds a Lease."""
