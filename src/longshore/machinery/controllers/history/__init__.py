"""The revisions of StatefulSets and DaemonSets: ControllerRevisions, as `kubectl rollout` reads them."""
