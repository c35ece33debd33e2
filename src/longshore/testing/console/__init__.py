"""Whole behaviours as console sessions: a file has commands and what they printed, and playing it on
a simulated cluster has to print the same again.

    # a rolling update replaces every pod
    $ apply deployment web image=web:1 replicas=3
    deployment.apps/web created
    $ wait deploy/web Available
    deployment.apps/web Available after 0s
    $ get pods
    NAME      READY   STATUS    RESTARTS   AGE
    web~1~1   1/1     Running   0          2s

script.py reads and writes such files; player.py plays one; session.py asks the cluster as somebody
and says what it answers in kubectl's words (refusals.py); the commands are in making.py, looking.py,
changing.py, rollouts.py, removing.py, passing.py and breaking.py, and their table in commands.py.

Every command begins on the half of a second, at least one second after the one before, so that ages
do not depend on milliseconds. A generated name is shown as what it was made from and a count:
web~2~1 is the first pod of the second ReplicaSet of web (names.py); commands take it like that too.
"""
