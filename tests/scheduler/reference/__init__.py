"""A plain scheduler: one pod at a time, over plain objects, written from the rules' text.

It is what the planner is judged by, so it is written to be read beside the documentation of the
rules and shares nothing with the planner. One module a rule, named as upstream's plug-in. A rule
gives two functions, or one of them:

    judge(cluster, pod, profile)          what says of one node why the pod cannot go there
    score(cluster, pod, among, profile)   0 to 100 for each node that is left, or None: no opinion

Scores are upstream's, without its rounding down to whole numbers on the way.
"""
