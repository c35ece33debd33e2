"""What an agent was told, in the form of a KubeletConfiguration (k8s.io/kubelet/config/v1beta1). Pure."""

from __future__ import annotations

from longshore.base.durations import duration
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import LEASE_DURATION_S, MAX_PODS, KubeletConfig


def kubelet_configuration(config: KubeletConfig) -> Doc:
    """Fields that have a meaning here."""
    told = config.resources
    graces = {name: duration(grace) for name, grace in told.eviction_soft_grace_s.items()}
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "clusterDNS": list(config.cluster_dns),
        "clusterDomain": config.cluster_domain,
        "maxPods": int(config.capacity.get("pods", MAX_PODS)),
        "nodeLeaseDurationSeconds": LEASE_DURATION_S,
        "kubeReserved": dict(told.kube_reserved),
        "systemReserved": dict(told.system_reserved),
        "enforceNodeAllocatable": ["pods"],
        "evictionHard": dict(told.eviction_hard),
        "evictionSoft": dict(told.eviction_soft),
        "evictionSoftGracePeriod": graces,
        "evictionMinimumReclaim": dict(told.eviction_minimum_reclaim),
        "evictionMaxPodGracePeriod": int(told.eviction_max_pod_grace_s),
        "evictionPressureTransitionPeriod": duration(told.eviction_transition_s),
        "imageGCHighThresholdPercent": told.image_gc_high_percent,
        "imageGCLowThresholdPercent": told.image_gc_low_percent,
        "imageMinimumGCAge": duration(told.image_gc_min_age_s),
        "containerLogMaxSize": told.log_max_size,
        "containerLogMaxFiles": told.log_max_files,
        "allowedUnsafeSysctls": list(told.allowed_unsafe_sysctls),
        "podPidsLimit": told.pod_pids_limit or -1,
        "cpuManagerPolicy": told.cpu_manager_policy,
        "reservedSystemCPUs": told.reserved_cpus,
    }
