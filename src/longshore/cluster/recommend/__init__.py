"""`longshore recommend`: what workloads should request, from what they were seen to use."""
