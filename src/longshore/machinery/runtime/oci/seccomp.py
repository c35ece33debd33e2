"""The system calls a container may make. Pure data.

Source of the rules: Docker's documented default profile (docs.docker.com/engine/security/seccomp):
everything not named here fails with EPERM; a capability opens the calls that need it. Unlike there,
only the machine's own architecture is let through: each further one costs about 5 ms at every start.
So a 32-bit program needs an unconfined container.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat
faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd
getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl
lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat memfd_create
memfd_secret mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe
pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink
symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes
vmsplice write writev landlock_add_rule landlock_create_ruleset landlock_restrict_self
"""
_PROCESSES = """
alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_waitv getegid
geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid getpriority getrandom getresgid
getresuid getrlimit get_robust_list getrusage getsid get_thread_area gettid getuid ioprio_get
ioprio_set kill membarrier modify_ldt pause pidfd_open pidfd_send_signal prctl prlimit64
process_mrelease restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_getaffinity sched_getattr
sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler
sched_yield seccomp setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid
setresgid setresuid setreuid setrlimit set_robust_list setsid set_thread_area set_tid_address
setuid sigaltstack signalfd signalfd4 tgkill tkill uname vfork wait4 waitid process_vm_readv
process_vm_writev ptrace
"""
_MEMORY = """
brk get_mempolicy madvise map_shadow_stack mincore mlock mlock2 mlockall mmap mprotect mremap
msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages cachestat
mseal
"""
_TALK = """
accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait
epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 getpeername getsockname getsockopt listen
mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv
msgsnd poll ppoll pselect6 recvfrom recvmmsg recvmsg select semctl semget semop semtimedop
sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair
"""
_TIME = """
adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep gettimeofday io_cancel
io_destroy io_getevents io_pgetevents io_setup io_submit nanosleep sysinfo time timer_create
timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
timerfd_settime times
"""
_BY_CAPABILITY = {
    "DAC_READ_SEARCH": "open_by_handle_at",
    "SYS_ADMIN": """
        bpf clone fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr
        move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns
        syslog umount umount2 unshare""",
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "delete_module init_module finit_module",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "SYS_RAWIO": "iopl ioperm",
    "SYS_TIME": "settimeofday clock_settime",
    "SYS_TTY_CONFIG": "vhangup",
    "SYS_NICE": "mbind set_mempolicy set_mempolicy_home_node",
    "SYSLOG": "syslog",
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
}
ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
"""How libseccomp calls machines that uname knows by another name."""
_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
# CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET: no new namespaces.
_NAMESPACE_FLAGS = 0x7E020000
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_AF_VSOCK = 40  # reaches past the network namespace to the hypervisor


@lru_cache(maxsize=64)
def profile(capabilities: frozenset[str]) -> dict[str, Any]:
    """linux.seccomp of an OCI configuration for those capabilities (without CAP_). Read-only."""
    opened = " ".join(calls for name, calls in _BY_CAPABILITY.items() if name in capabilities)
    names = set(" ".join((_FILES, _PROCESSES, _MEMORY, _TALK, _TIME, opened)).split())
    rules: list[dict[str, Any]] = [{"names": sorted(names), "action": _ALLOW}]
    rules += (_allow("personality", 0, value, "SCMP_CMP_EQ") for value in _PERSONALITIES)
    rules.append(_allow("socket", 0, _AF_VSOCK, "SCMP_CMP_NE"))
    if "SYS_ADMIN" in capabilities:
        rules.append({"names": ["clone3"], "action": _ALLOW})
    else:
        rules.append(_allow("clone", 0, _NAMESPACE_FLAGS, "SCMP_CMP_MASKED_EQ"))
        # Its flags are behind a pointer; ENOSYS makes the C library fall back to clone.
        rules.append({"names": ["clone3"], "action": _ERRNO, "errnoRet": _ENOSYS})
    return {
        "defaultAction": _ERRNO,
        "defaultErrnoRet": _EPERM,
        "architectures": [ARCHITECTURES[os.uname().machine]],
        "syscalls": rules,
    }


def _allow(name: str, index: int, value: int, operation: str) -> dict[str, Any]:
    argument = {"index": index, "value": value, "valueTwo": 0, "op": operation}
    return {"names": [name], "action": _ALLOW, "args": [argument]}
