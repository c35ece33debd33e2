"""What Longshore costs, measured: `make bench` runs everything, prints a table and writes JSON."""
