"""Programs as users write them, each against an unmodified client library; run by test_clients.py
with the kubeconfig's path as their argument. They end with an assertion or with "well"."""
