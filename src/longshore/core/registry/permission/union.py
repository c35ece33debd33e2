"""The authoriser of a cluster that asks outside authorisers too, in the order that it was given.

Source: apiserver/pkg/authorization/union: the first that allows or denies is right; where none does,
it is forbidden, for the reasons of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.permission.nodes import node_of
from longshore.core.registry.permission.outside import Outside, spec_of_path, spec_of_wish
from longshore.core.registry.permission.roles import Action
from longshore.core.registry.wishes import Verdict, Wish, forbidden_path
from longshore.core.watch.cache import Cache

NODE, RBAC = "Node", "RBAC"
Stage = Outside | str
"""An authoriser in the order: one of the two of the server's own, or one outside."""
_Judge = Callable[[], Verdict]
_NO_OPINION = Verdict(False)
_RULES = "webhook authorizer does not support user rule resolution"


class UnionAuthorizer(Authorizer):
    """Any judgement may raise Undecided. stages have NODE before RBAC, and both of them; masters are
    asked about by nobody."""

    def __init__(self, cache: Cache, stages: Sequence[Stage]) -> None:
        super().__init__(cache)
        self._stages = stages

    def authorize_path(self, who: User, verb: str, path: str) -> None:
        verdict = self.judge_path(who, verb, path)
        if not verdict.allowed:
            raise forbidden_path(who, verb, path, verdict.reason)

    def allowed_path(self, who: User, verb: str, path: str) -> bool:
        return self.judge_path(who, verb, path).allowed

    def _known_to_hold(self, who: User, action: Action, namespace: str, name: str) -> bool:
        """Others are asked before roles are."""
        return False

    def _refusal(self, who: User, wish: Wish) -> str | None:
        def by_rules() -> Verdict:
            why = Authorizer._refusal(self, who, wish)
            return Verdict(why is None, why or "")

        verdict = self._of_wish(by_rules, who, wish)
        return None if verdict.allowed else verdict.reason

    def judge(self, who: User, wish: Wish) -> Verdict:
        if who.is_master:
            return Verdict(True)

        def by_rules() -> Verdict:
            return Authorizer.judge(self, who, wish)

        return self._of_wish(by_rules, who, wish)

    def verdict(self, who: User, wish: Wish) -> Verdict:
        return self.judge(who, wish)

    def judge_path(self, who: User, verb: str, path: str) -> Verdict:
        if who.is_master:
            return Verdict(True)

        def by_rules() -> Verdict:
            return Authorizer.judge_path(self, who, verb, path)

        return self._union(by_rules, lambda: _NO_OPINION, lambda: spec_of_path(who, verb, path))

    def rules_of(self, who: User, namespace: str) -> tuple[list[Doc], list[Doc], str]:
        """As far as roles go: what is allowed outside cannot be listed."""
        resources, paths, missing = super().rules_of(who, namespace)
        if who.is_master:
            return resources, paths, missing
        return resources, paths, f"[{missing}, {_RULES}]" if missing else _RULES

    def _of_wish(self, by_rules: _Judge, who: User, wish: Wish) -> Verdict:
        def as_node() -> Verdict:
            node = node_of(who)
            return Verdict(node is not None and self._nodes.refusal(node, wish) is None)

        return self._union(by_rules, as_node, lambda: spec_of_wish(who, wish))

    def _union(self, by_rules: _Judge, as_node: _Judge, spec: Callable[[], Doc]) -> Verdict:
        """by_rules judges by roles, and by the Node authoriser once more, which says why not."""
        said: list[Verdict] = []
        for stage in self._stages:
            if isinstance(stage, Outside):
                verdict = stage.verdict(spec())
            else:
                verdict = as_node() if stage == NODE else by_rules()
            said.append(verdict)
            if verdict.allowed or verdict.denied:
                break
        return _together(said)


def _together(said: Sequence[Verdict]) -> Verdict:
    last, errors = said[-1], _joined(verdict.error for verdict in said)
    if last.allowed or last.denied:
        return last._replace(error=errors)
    return Verdict(False, _joined(verdict.reason for verdict in said), error=errors)


def _joined(texts: Iterable[str]) -> str:
    return "\n".join(text for text in texts if text)
