"""The reconciling loop: a keyed queue, four answers, back-off."""
