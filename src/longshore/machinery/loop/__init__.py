"""The reconciling loop: a keyed queue, four answers, back-off; following a kind; the Events that loops tell."""
