"""The authoriser: one answer from system:masters, the Node authoriser and roles together."""

from __future__ import annotations

from collections.abc import Mapping

from longshore.base.users import User
from longshore.core.objects.kinds import NAMESPACE, Doc, Kind
from longshore.core.registry.permission.bindings import BINDINGS, ROLES, Bindings
from longshore.core.registry.permission.nodes import NODE_PREFIX, NodeAuthorizer, node_of
from longshore.core.registry.permission.reasons import reason_of
from longshore.core.registry.permission.roles import Action, Held, Holdings, Reach, Role
from longshore.core.registry.wishes import (
    NO_FIELDS,
    Verdict,
    Wish,
    forbidden,
    forbidden_path,
)
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame

# How many users are remembered with what they hold, and how many answers; more only make all be
# looked up again. Actions with words longer than those of any API are not remembered at all.
_USERS_MAX, _ANSWERS_MAX, _ACTION_MAX = 4096, 65_536, 256
_KINDS = frozenset({*ROLES, *BINDINGS})
_MAY, _NO_OPINION = Verdict(True), Verdict(False)
_EVERYTHING: Doc = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH: Doc = {"verbs": ["*"], "nonResourceURLs": ["*"]}


class Authorizer:
    """Judges by what is in the cache, whose every change must be told to applied()."""

    def __init__(self, cache: Cache) -> None:
        self.reload(cache)

    def reload(self, cache: Cache) -> None:
        """Judge by another cache from now on."""
        self.cache = cache
        self._bindings = Bindings(cache)
        self._nodes = NodeAuthorizer(cache)
        self._holdings: dict[User, Holdings] = {}
        self._answers = 0

    def applied(self, frame: Frame) -> None:
        """Something changed in the cache."""
        if frame.kind in _KINDS:
            self._forget()
            self._bindings.applied(frame)
        else:
            self._nodes.applied(frame)

    # --- for requests ---

    def authorize(
        self, who: User, verb: str, kind: Kind, namespace: str, name: str, subresource: str = ""
    ) -> None:
        """Return if the caller may; raise Forbidden in Kubernetes' words if not."""
        if "system:masters" in who.groups:
            return
        if kind is NAMESPACE:
            # A namespace is in itself: who may read namespaces there may read this one.
            namespace = name
        if self._known_to_hold(who, (verb, kind.group, kind.plural, subresource), namespace, name):
            return
        wish = Wish(verb, kind.group, kind.plural, namespace, name, subresource)
        why = self._refusal(who, wish)
        if why is not None:
            raise forbidden(who, wish, why, kind)

    def authorize_many(
        self, who: User, verb: str, kind: Kind, namespace: str, fields: Mapping[str, str]
    ) -> None:
        """The same for a list, a watch or a deletecollection of what has those fields."""
        if "system:masters" in who.groups:
            return
        name = fields.get("metadata.name", "")
        wish = Wish(verb, kind.group, kind.plural, namespace, name, "", fields or NO_FIELDS)
        why = self._refusal(who, wish)
        if why is not None:
            raise forbidden(who, wish, why, kind)

    def check(self, who: User, wish: Wish, kind: Kind | None = None) -> None:
        """The same for a wish, be it served here or not."""
        why = None if who.is_master else self._refusal(who, wish)
        if why is not None:
            raise forbidden(who, wish, why, kind)

    def authorize_path(self, who: User, verb: str, path: str) -> None:
        """Return if the caller may ask for a path that is no resource's; raise Forbidden if not."""
        if not self.allowed_path(who, verb, path):
            raise forbidden_path(who, verb, path)

    def allowed(self, who: User, wish: Wish) -> bool:
        """Whether the caller may do that, be the resource served here or not."""
        return who.is_master or self._refusal(who, wish) is None

    def allowed_path(self, who: User, verb: str, path: str) -> bool:
        if who.is_master:
            return True
        return (self._holdings.get(who) or self._remember(who)).grants_path(verb, path)

    def _known_to_hold(self, who: User, action: Action, namespace: str, name: str) -> bool:
        """Whether what is remembered says at once that roles grant it; where it does not, nothing is
        said. For nodes these would be asked in vain."""
        if who.name.startswith(NODE_PREFIX):
            return False
        holdings = self._holdings.get(who)
        reach = None if holdings is None else holdings.reaches.get(action)
        return reach is not None and reach.covers(namespace, name)

    def _refusal(self, who: User, wish: Wish) -> str | None:
        """None if the wish is granted; else why not, as far as somebody says so."""
        node = node_of(who)
        why = "" if node is None else self._nodes.refusal(node, wish)
        if why is None:
            return None
        action = wish.verb, wish.group, wish.resource, wish.subresource
        holdings = self._holdings.get(who) or self._remember(who)
        reach = holdings.reaches.get(action) or self._learn(holdings, action)
        return None if reach.covers(wish.namespace, wish.name) else why

    def _remember(self, who: User) -> Holdings:
        if len(self._holdings) >= _USERS_MAX:
            self._forget()
        holdings = self._holdings[who] = self._bindings.held_by(who)
        return holdings

    def _learn(self, holdings: Holdings, action: Action) -> Reach:
        reach = holdings.reach(action)
        if sum(map(len, action)) <= _ACTION_MAX:
            if self._answers >= _ANSWERS_MAX:
                self._forget()
            self._answers += 1
            holdings.reaches[action] = reach
        return reach

    def _forget(self) -> None:
        self._holdings.clear()
        self._answers = 0

    def verdict(self, who: User, wish: Wish) -> Verdict:
        """judge() of somebody who asks just now: what is looked up is remembered."""
        if who.is_master or node_of(who) is not None:
            return self.judge(who, wish)
        action = wish.verb, wish.group, wish.resource, wish.subresource
        holdings = self._holdings.get(who) or self._remember(who)
        reach = holdings.reaches.get(action) or self._learn(holdings, action)
        held = reach.granting(wish.namespace, wish.name)
        return _NO_OPINION if held is None else Verdict(True, self._reason(holdings, held, who))

    def _reason(self, holdings: Holdings, held: Held, who: User) -> str:
        reason = holdings.reasons.get(held.binding)
        if reason is None:
            reason = holdings.reasons[held.binding] = reason_of(self.cache, held, who)
        return reason

    # --- for reviews: of whoever is named in one, so nothing is remembered ---

    def judge(self, who: User, wish: Wish) -> Verdict:
        if who.is_master:
            return _MAY
        node = node_of(who)
        why = "" if node is None else self._nodes.refusal(node, wish)
        if why is None:
            return _MAY
        action = wish.verb, wish.group, wish.resource, wish.subresource
        held = self.holdings(who).reach(action).granting(wish.namespace, wish.name)
        return (
            Verdict(False, why) if held is None else Verdict(True, reason_of(self.cache, held, who))
        )

    def judge_path(self, who: User, verb: str, path: str) -> Verdict:
        if who.is_master:
            return _MAY
        for held in self.holdings(who).held:
            if not held.namespace and held.role.grants_path(verb, path):
                return Verdict(True, reason_of(self.cache, held, who))
        return _NO_OPINION

    def rules_of(self, who: User, namespace: str) -> tuple[list[Doc], list[Doc], str]:
        """All that the caller may do in a namespace, as a SelfSubjectRulesReview tells it: rules
        about resources, rules about other paths, and what is missing from them."""
        if who.is_master:
            return [_EVERYTHING], [_EVERY_PATH], ""
        rules = self.holdings(who).rules(namespace)
        paths = [rule for rule in rules if rule.get("nonResourceURLs")]
        resources = [rule for rule in rules if not rule.get("nonResourceURLs")]
        missing = "node authorizer does not support user rule resolution"
        return resources, paths, "" if node_of(who) is None else missing

    # --- what is bound ---

    def holdings(self, who: User) -> Holdings:
        """What is bound to a user."""
        return self._holdings.get(who) or self._bindings.held_by(who)

    def role(self, binding: Doc) -> Role | None:
        """The role that a binding means, if it exists."""
        return self._bindings.role(binding)
