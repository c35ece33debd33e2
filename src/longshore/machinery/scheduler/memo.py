"""What one scheduler remembers between decisions: its profile, and scores by load."""

from __future__ import annotations

from longshore.machinery.scheduler.fills import Fills
from longshore.machinery.scheduler.profile import DEFAULT, Profile


class Memo:
    """Of one view: answers about another are wrong."""

    def __init__(self, profile: Profile = DEFAULT) -> None:
        self.profile = profile
        self.fills = Fills(profile)
