"""The tutorial's own project is run by test_tutorial.py, as its reader runs it."""

collect_ignore = ["operators"]
