"""The bounds of every queue and body, in one place. Each says why it is what it is."""

# etcd refuses requests over 1.5 MiB and the Kubernetes API server bodies over 3 MiB.
REQUEST_BODY_MAX_BYTES = 3 * 1024 * 1024
# The largest object that is stored; the same as etcd's default request limit.
OBJECT_MAX_BYTES = 1536 * 1024
# How deep a body may be nested. No built-in kind comes near; the JSON encoder stops at 254.
DOCUMENT_DEPTH_MAX = 200
# Keys, values and brackets of a YAML body together. Reading one takes some 10 us, during which nobody
# else is served; the largest custom resource definitions have 60,000, and clients send JSON.
YAML_PARTS_MAX = 100_000
# Causes that a refusal lists; what is wrong more often than that is counted.
CAUSES_MAX = 1_000
# All metadata.annotations of an object together (apimachinery validation.TotalAnnotationSizeLimitB).
ANNOTATIONS_MAX_BYTES = 256 * 1024
# Changes that wait for one watcher; one that falls further behind is dropped and lists again.
WATCH_QUEUE_MAX = 16_384
# How long changes are kept, for watches to start from and lists to look back: etcd's default for
# the API server. Older ones answer 410 Expired.
WATCH_HISTORY_S = 300.0
# Changes of each kind that are kept however old they are, so that a watch of a quiet kind resumes.
WATCH_HISTORY_MIN = 1_024
# What the kept changes of all kinds may cost together. That is five minutes of 400 changes of a pod
# (1.8 KB) a second; where there are more it is shorter, and a client lists again.
WATCH_HISTORY_MAX_BYTES = 256 * 1024 * 1024
# Changes whose encoded events are kept for the next watcher that takes them.
ENCODED_MAX = 4_096
# Decoded documents that the cache keeps beside their bytes.
DECODED_MAX = 8_192
# Stored objects whose row in a Table is kept, half a kilobyte each.
ROWS_MAX = 16_384
# Writes that may wait for the store; more are told to come again (429).
COMMIT_QUEUE_MAX = 16_384
# Changes that a loop takes in before others have their turn. At start all loops hear of all objects: as
# they take as many in turn, and far less than DECODED_MAX, each is decoded once for all of them.
LOOP_SLICE = 256
# Changes that wait for an in-process loop: a burst of a whole cluster's pods must fit.
LOOP_FEED_MAX = 262_144
# Keys that may wait in one loop's queue. Keys are unique, so this is a bound on objects.
LOOP_QUEUE_MAX = 1_000_000
# Requests that may be at work at the same time, divided among the priority levels: the sum of
# kube-apiserver's --max-requests-inflight and --max-mutating-requests-inflight.
SEATS_TOTAL = 600
