"""A page of a pod and a port that nobody listens on, by PyPI's kubernetes client, which forwards ports by
channels of a WebSocket. Usage: forwarded.py KUBECONFIG POD

A process of its own: the client's thread ends with it, and not before."""

import sys
from typing import Any

from kubernetes import client, config
from kubernetes.stream import portforward

connect: Any = config.new_client_from_config
core = client.CoreV1Api(connect(sys.argv[1]))
ports = portforward(
    core.connect_get_namespaced_pod_portforward, sys.argv[2], "default", ports="80,81"
)
talk = ports.socket(80)
talk.settimeout(20)
talk.sendall(b"GET / HTTP/1.0\r\nHost: pod\r\n\r\n")
answer = b""
while b"</html>" not in answer:
    answer += talk.recv(4096)
print(answer.decode(), ports.error(81))
