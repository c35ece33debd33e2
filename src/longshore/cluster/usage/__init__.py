"""`longshore usage`: what projects used, as numbers and as a chart."""
