"""What is told of a node, its pods and containers to those who measure: /stats/summary, /metrics and below it."""
