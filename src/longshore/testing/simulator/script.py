"""What happens in a simulation: what users do and what goes wrong, drawn from a seed. Pure.

A script is a list of steps, each of which can be left out without changing what the others mean;
that is what makes a failing one shrinkable (shrink.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from longshore.base.chance import Chance

Args: TypeAlias = Mapping[str, Any]

# Names are few, so that users meet one another's objects.
_APPS = tuple(f"app-{number}" for number in range(4))
_JOBS = tuple(f"job-{number}" for number in range(4))
_MAPS = tuple(f"map-{number}" for number in range(5))
_PODS = tuple(f"pod-{number}" for number in range(8))
_STATEFUL = ("db-0", "db-1")
_DAEMONS = ("agent-0", "agent-1")
_SERVICES = tuple(f"svc-{number}" for number in range(4))
_SCRATCH = ("scratch-0", "scratch-1")
_CRONS = ("cron-0", "cron-1")
_SETS = ("set-0", "set-1")
_VOLUMES = ("data-0", "data-1")
_GANGS, _OFFERED = ("gang-0", "gang-1"), ("offer-0", "offer-1", "offer-2")
# Queues of one cohort, and the processors that are each one's own.
QUEUES = {"red": "2", "blue": "2"}
# The namespace with a quota, in which bare pods compete for the last of it.
LIMITED = "limited"
# Pods of this class drive others out.
URGENT = {"class": "urgent", "value": 1000}
LIMIT = {"pods": "6", "requests.cpu": "3", "count/configmaps": "9"}


@dataclass(frozen=True, slots=True)
class Step:
    """At so many seconds after the cluster was ready, that, with those particulars."""

    at: float
    what: str
    args: Args = field(default_factory=dict)

    def __str__(self) -> str:
        words = " ".join(f"{key}={value}" for key, value in self.args.items())
        return f"{self.at:8.2f} s  {self.what} {words}".rstrip()


Draw: TypeAlias = Callable[[Chance, Sequence[str]], dict[str, Any]]


def _namespace(chance: Chance) -> str:
    return chance.choice(("default", "default", LIMITED, *_SCRATCH))


def _app(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_APPS), "replicas": chance.below(9)}


def _new_image(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_APPS), "image": f"web:{chance.below(5)}"}


def _delete_app(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    policy = chance.choice(("Background", "Foreground"))
    return {"name": chance.choice(_APPS), "propagation": policy}


def _job(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": chance.choice(_JOBS),
        "mode": chance.choice(("NonIndexed", "Indexed")),
        "completions": 1 + chance.below(8),
        "parallelism": 1 + chance.below(4),
        "takes_s": chance.choice((0, 1, 5, 20)),
    }


def _suspension(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_JOBS), "suspend": chance.choice((True, False))}


def _job_size(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_JOBS), "parallelism": 1 + chance.below(4)}


def _delete_job(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    policy = chance.choice(("Background", "Foreground"))
    return {"name": chance.choice(_JOBS), "propagation": policy}


def _stateful(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    policy = chance.choice(("OrderedReady", "Parallel"))
    return {"name": chance.choice(_STATEFUL), "replicas": chance.below(5), "policy": policy}


def _stateful_image(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_STATEFUL), "image": f"main:{chance.below(5)}"}


def _delete_stateful(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    policy = chance.choice(("Background", "Foreground"))
    return {"name": chance.choice(_STATEFUL), "propagation": policy}


def _member(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": f"{chance.choice(_STATEFUL)}-{chance.below(4)}"}


def _daemon(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_DAEMONS), "surge": chance.below(2)}


def _daemon_image(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_DAEMONS), "image": f"main:{chance.below(5)}"}


def _delete_daemon(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    policy = chance.choice(("Background", "Foreground"))
    return {"name": chance.choice(_DAEMONS), "propagation": policy}


def _map(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"namespace": _namespace(chance), "name": chance.choice(_MAPS)}


def _pod(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    cpu = chance.choice(("250m", "1", "2"))
    return {"namespace": _namespace(chance), "name": chance.choice(_PODS), "cpu": cpu}


def _urgent(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    cpu = chance.choice(("1", "2", "3"))
    return {"name": chance.choice(_PODS), "cpu": cpu, "class": URGENT["class"]}


def _budget(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    field = chance.choice(("minAvailable", "maxUnavailable"))
    amount = chance.choice((1, 2, "50%"))
    return {"name": chance.choice(_APPS), "field": field, "amount": amount}


def _rush(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    namespace, count = chance.choice((LIMITED, LIMITED, "default")), 2 + chance.below(4)
    return {"namespace": namespace, "count": count, "cpu": chance.choice(("250m", "1"))}


def _service(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_SERVICES)}


def _gang(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_GANGS), "least": 2 + chance.below(2)}


def _gang_member(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    group, cpu = chance.choice(_GANGS), chance.choice(("500m", "1", "2"))
    return {"name": f"{group}-{chance.below(4)}", "group": group, "cpu": cpu}


def _queued(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    queue, cpu = chance.choice(tuple(QUEUES)), chance.choice(("500m", "1"))
    return {"name": chance.choice(_PODS), "queue": queue, "cpu": cpu}


def _offer(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_OFFERED), "lease_s": chance.choice((2, 10, 30))}


def _foreign(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": f"other-{chance.below(4)}", "cpu": chance.choice(("500m", "2"))}


def _acceptance(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": f"other-{chance.below(4)}", "offer": chance.choice(_OFFERED)}


def _bare(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    name = chance.choice((f"other-{chance.below(4)}", f"{chance.choice(_GANGS)}-{chance.below(4)}"))
    return {"namespace": "default", "name": name}


def _scratch(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_SCRATCH)}


def _cron(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    policy = chance.choice(("Allow", "Forbid", "Replace"))
    return {"name": chance.choice(_CRONS), "policy": policy, "takes_s": chance.choice((1, 20, 90))}


def _cron_suspension(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_CRONS), "suspend": chance.choice((True, False))}


def _delete_cron(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_CRONS)}


def _set(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_SETS), "replicas": chance.below(4)}


def _delete_set(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    policy = chance.choice(("Background", "Foreground", "Orphan"))
    return {"name": chance.choice(_SETS), "propagation": policy}


def _volume(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"name": chance.choice(_VOLUMES)}


def _node(chance: Chance, nodes: Sequence[str]) -> dict[str, Any]:
    return {"node": chance.choice(nodes)}


# What users do, and how often in proportion.
DEEDS: Mapping[str, tuple[int, Draw]] = {
    "apply deployment": (4, _app),
    "scale": (4, _app),
    "set image": (2, _new_image),
    "delete deployment": (1, _delete_app),
    "create job": (3, _job),
    "suspend job": (1, _suspension),
    "resize job": (1, _job_size),
    "delete job": (1, _delete_job),
    "apply stateful": (2, _stateful),
    "scale stateful": (2, _stateful),
    "set stateful image": (1, _stateful_image),
    "delete stateful": (1, _delete_stateful),
    "delete member": (2, _member),
    "apply daemon": (1, _daemon),
    "set daemon image": (1, _daemon_image),
    "delete daemon": (1, _delete_daemon),
    "create map": (5, _map),
    "write map": (6, _map),
    "read map": (8, _map),
    "delete map": (2, _map),
    "list maps": (2, _map),
    "create pod": (6, _pod),
    "rush": (1, _rush),
    "create urgent pod": (2, _urgent),
    "create budget": (2, _budget),
    "delete budget": (1, _budget),
    "read pod": (2, _pod),
    "delete pod": (4, _pod),
    "create service": (2, _service),
    "delete service": (1, _service),
    "create namespace": (2, _scratch),
    "delete namespace": (1, _scratch),
    "create group": (1, _gang),
    "create member": (3, _gang_member),
    "create queued pod": (3, _queued),
    "ask for an offer": (2, _offer),
    "create pod of another scheduler": (2, _foreign),
    "accept an offer": (3, _acceptance),
    "delete shared pod": (1, _bare),
    "cordon": (1, _node),
    "uncordon": (2, _node),
}
# With more kinds, for which there is time in long runs only.
ALL_DEEDS: Mapping[str, tuple[int, Draw]] = {
    **DEEDS,
    "create cron": (1, _cron),
    "suspend cron": (1, _cron_suspension),
    "delete cron": (1, _delete_cron),
    "create set": (1, _set),
    "scale set": (1, _set),
    "delete set": (1, _delete_set),
    "create claim": (1, _volume),
    "delete claim": (1, _volume),
    "create volume": (1, _volume),
    "delete volume": (1, _volume),
}


def _lasting(low: float, high: float) -> Draw:
    return lambda chance, _nodes: {"for_s": round(chance.uniform(low, high), 1)}


def _node_lasting(low: float, high: float) -> Draw:
    return lambda chance, nodes: {
        "node": chance.choice(nodes), "for_s": round(chance.uniform(low, high), 1)
    }  # fmt: skip


def _jump(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"seconds": round(chance.choice((-1, 1)) * chance.uniform(0.5, 120.0), 1)}


def _cut(chance: Chance, _nodes: Sequence[str]) -> dict[str, Any]:
    return {"number": chance.below(3), "for_s": round(chance.uniform(1.0, 60.0), 1)}


def _lag(chance: Chance, nodes: Sequence[str]) -> dict[str, Any]:
    return {**_cut(chance, nodes), "lag_s": round(chance.uniform(0.1, 15.0), 1)}


# What goes wrong. Each is over by itself after its time.
FAULTS: Mapping[str, Draw] = {
    "server-crash": _lasting(0.1, 20.0),
    "server-lag": _lag,
    "server-cut": _cut,
    "node-crash": _node_lasting(1.0, 400.0),
    "agent-restart": _node_lasting(0.1, 5.0),
    "node-gone": _node_lasting(1.0, 200.0),
    "node-cut": _node_lasting(1.0, 400.0),
    "lossy": _node_lasting(5.0, 60.0),
    "doubled": _node_lasting(5.0, 60.0),
    "delayed": _node_lasting(5.0, 60.0),
    "watch-drop": _node,
    "users-lossy": _lasting(5.0, 60.0),
    "users-doubled": _lasting(5.0, 60.0),
    "users-delayed": _lasting(5.0, 60.0),
    "users-watch-drop": lambda _chance, _nodes: {},
    "store-stall": _lasting(0.5, 30.0),
    "store-error": _lasting(0.1, 10.0),
    "disk-full": _lasting(0.5, 30.0),
    "clock-jump": _jump,
}


def written(
    seed: int,
    ticks: int,
    faults: Sequence[str],
    nodes: Sequence[str],
    pace_s: float = 1.0,
    deeds: Mapping[str, tuple[int, Draw]] = DEEDS,
) -> list[Step]:
    """A script of so many simulated seconds: a deed every pace_s or so, a fault of those named every
    twenty seconds or so."""
    chance = Chance.seeded(f"script {seed}")
    words = [what for what, (weight, _) in deeds.items() for _ in range(weight)]
    steps = [Step(0.0, "limit", {"namespace": LIMITED}), Step(0.0, "rank", URGENT)]
    for name, cpu in QUEUES.items():
        steps.append(Step(0.0, "create cluster queue", {"name": name, "cpu": cpu}))
        steps.append(Step(0.0, "create local queue", {"name": name}))
    for at in _moments(chance, ticks, pace_s):
        what = chance.choice(words)
        steps.append(Step(at, what, deeds[what][1](chance, nodes)))
    for at in _moments(chance, ticks, 20.0) if faults else ():
        what = chance.choice(faults)
        steps.append(Step(at, what, FAULTS[what](chance, nodes)))
    return sorted(steps, key=lambda step: step.at)


def _moments(chance: Chance, ticks: int, pace_s: float) -> list[float]:
    return [round(chance.uniform(0.0, ticks), 2) for _ in range(round(ticks / pace_s))]
