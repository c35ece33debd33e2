"""The reconciling loop: a keyed queue, four answers, back-off, and the Events that loops tell."""
